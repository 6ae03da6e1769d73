"""The `tokenizer.*` pairs of a GGUF file from tokenizer.json and its company: gguf.py backwards."""

from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError


def metadata(files: Mapping[str, str]) -> dict[str, Any]:
    """`files`: texts by file name: tokenizer.json, tokenizer_config.json, generation_config.json.

    Raises FormatError for a tokenizer that llama.cpp has no name for.
    """
    raise FormatError("a GGUF's vocabulary is not written yet")
