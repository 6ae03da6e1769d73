"""Fewer bits a weight, at the least loss: methods, calibration, and the walk through a model.

NumPy only. Knows nothing of the command line; hands out tensors as a reader of a checkpoint does.
"""
