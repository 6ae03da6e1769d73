"""Writes a GGUF file that llama.cpp loads: Q4_0, Q4_1, Q8_0, BF16 and F32, never requantized."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from farthing.errors import FormatError
from farthing.formats.types import Layout, Tensors


def check(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> list[str]:
    """What `write` would store otherwise than it is, one line each; nothing is read or written.

    Raises FormatError naming a tensor whose form has no exact block, or an architecture that isn't
    written, and what to do instead: ask before hours of quantizing.
    """
    raise FormatError("GGUF files are not written yet")


def write(
    path: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    *,
    vocabulary: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write the file; the lines of `check`.

    config: config.json's keys, as readers hand them out. vocabulary: the `tokenizer.*` pairs, from
    `tokenizer.gguf_metadata.metadata(files)` or a GGUF's own. `progress` hears bytes done and bytes
    in all. The caller makes the file appear whole: writes beside and renames. Raises as `check`.
    """
    return check(config, {name: tensors.layout(name) for name in tensors.names()})
