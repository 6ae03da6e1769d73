"""Texts made by grammar: stories, entries, talks; to learn a language's words and turns from.

What a text says of someone it says throughout; what it says of the real world is true.
"""

from farthing.learn.tasks.texts.choosing import KINDS, texts

__all__ = ["KINDS", "texts"]
