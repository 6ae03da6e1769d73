"""Text to token ids and back: a thin layer on the `tokenizers` library. Knows no model."""

from farthing.tokenizer.stream import TextStream
from farthing.tokenizer.tokenizer import Tokenizer

__all__ = ["TextStream", "Tokenizer"]
