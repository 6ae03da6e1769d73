"""A model with an adapter's parts added, as a folder that needs no adapter."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from farthing.learn import adapter, base, publish


def merge(
    model: Path, adapter_folder: Path, into: Path, note: Callable[[str], None] = lambda words: None
) -> Path:
    """Sums are made in fp32, of codes' numbers too, and rounded to bf16 once, as they are written.

    Raises NotFound; FormatError for a model or an adapter that is damaged or doesn't fit; DiskFull;
    InputError if `into` exists.
    """
    found = base.read(model, torch.float32)
    parts = adapter.read(adapter_folder, found.config)
    with TemporaryDirectory() as scratch:
        tokenizer = found.tokenizer(Path(scratch) / "tokenizer")
        merged = parts.merged(found.weights)
        note(f"{len(parts.parts)} parts added")
        return publish.folder(found.config, merged, tokenizer, into)
