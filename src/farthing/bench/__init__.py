"""Measurements: this machine's limits, farthing on it, and its peers beside it."""
