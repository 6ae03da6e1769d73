"""Writes a Hugging Face folder in compressed-tensors' layout, which vLLM and transformers load."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from farthing.errors import FormatError
from farthing.formats.types import Layout, Tensors


def check(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> list[str]:
    """What `write` would store otherwise than it is, one line each; nothing is read or written.

    Raises FormatError naming a tensor whose form has no exact counterpart, or a family that isn't
    written, and what to do instead: ask before hours of quantizing.
    """
    raise FormatError("Hugging Face folders are not written yet")


def write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    *,
    files: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write into `folder`, which exists and is empty; the lines of `check`.

    config: config.json's keys, as readers hand them out. files: further texts by their names
    (tokenizer.json, ...). `progress` hears bytes done and bytes in all. The caller makes the folder
    appear whole: writes beside and renames. Raises as `check` does.
    """
    return check(config, {name: tensors.layout(name) for name in tensors.names()})
