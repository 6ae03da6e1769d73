"""The OpenAI-compatible server: HTTP, text, keys, limits and bills around one engine.

It never computes a token: the engine does, in a process of its own.
"""
