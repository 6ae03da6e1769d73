"""Who runs in the next step, on which pages, and who caused its time.

Knows token ids only: nothing of text, money, files or HTTP.
"""
