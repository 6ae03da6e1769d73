"""A quantized model written down, in the format that was asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from farthing.formats import gguf_write, hf_write, packed
from farthing.formats.types import Layout, Tensors
from farthing.tokenizer import gguf_metadata

RECIPE = "recipe.toml"
WEIGHTS = (".farthing", ".safetensors", ".gguf")


def check(
    format: str,
    config: Mapping[str, Any],
    layouts: Mapping[str, Layout],
    files: Mapping[str, str],
) -> list[str]:
    """What the format can't store as it is, one line each. Raises FormatError where it stores
    nothing of the kind."""
    if format == "hf":
        return hf_write.check(config, layouts)
    if format == "gguf":
        gguf_metadata.metadata(files)
        return gguf_write.check(config, layouts)
    return []


def write(
    format: str,
    out: Path,
    tensors: Tensors,
    config: Mapping[str, Any],
    *,
    source: packed.Source,
    files: Mapping[str, str],
    progress: Callable[[int, int], None],
) -> None:
    """Makes `out`: a folder, or for "gguf" a file."""
    if format == "gguf":
        vocabulary = gguf_metadata.metadata(files)
        gguf_write.write(out, config, tensors, vocabulary=vocabulary, progress=progress)
        return
    out.mkdir()
    if format == "hf":
        hf_write.write(out, config, tensors, files=files, progress=progress)
    else:
        packed.write(out, config, tensors, source=source, files=files, progress=progress)
        packed.open(out)


def weights(out: Path) -> int:
    """Bytes of the weights that were written."""
    files = [out] if out.is_file() else out.iterdir()
    return sum(path.stat().st_size for path in files if path.suffix in WEIGHTS)
