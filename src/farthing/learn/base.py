"""A model that others trained, read to be tuned: its numbers as tensors, or as codes.

Memory: every matrix in the dtype that products are made in; with `quantized`, matrices of 4 and 8
bits stay codes (frozen.py), all but embedding and head.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farthing import formats
from farthing.errors import InputError
from farthing.formats import packed
from farthing.formats.hf import TOKENIZER, read_text
from farthing.learn import pretrained
from farthing.learn.frozen import Codes, Frozen
from farthing.learn.parameters import cast
from farthing.store.pulling import texts
from farthing.store.space import clear_when_full

TEXTS = (*TOKENIZER, "generation_config.json")
OUTER = ("model.embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True, slots=True)
class Base:
    name: str
    config: dict[str, Any]
    weights: dict[str, Frozen]
    texts: dict[str, str]
    """tokenizer.json and its kin, by file name."""

    @property
    def bytes(self) -> int:
        return sum(w.bytes if isinstance(w, Codes) else w.nbytes for w in self.weights.values())

    def tokenizer(self, into: Path) -> Path:
        """The texts as a folder, which Tokenizer.open reads. Raises DiskFull."""
        into.mkdir(parents=True, exist_ok=True)
        with clear_when_full(f"writing {into}", into):
            for name, text in self.texts.items():
                (into / name).write_text(text, "utf-8")
        return into


def read(path: Path, dtype: torch.dtype, *, quantized: bool = False) -> Base:
    """From a packed folder, a Hugging Face folder or a GGUF file.

    Raises NotFound, or FormatError for what is damaged or not understood; InputError if it is to
    stay quantized and nothing of it is."""
    is_packed = (path / packed.WEIGHTS).is_file()
    beside = _texts(path) if is_packed else texts(formats.open(path))
    found: dict[str, Frozen]
    if is_packed and quantized:
        opened = packed.open(path)
        config, found = opened.config, dict(_kept(opened))
    else:
        whole = pretrained.read(path)
        config, found = whole.config, dict(whole.weights)
    if quantized and not any(isinstance(weight, Codes) for weight in found.values()):
        raise InputError(
            f"{path} has no packed matrix of 4 or 8 bits to keep; make one with"
            f" `farthing quantize {path} -o NAME` and tune that"
        )
    tensors = cast({k: w for k, w in found.items() if isinstance(w, Tensor)}, dtype)
    weights = {name: tensors.get(name, weight) for name, weight in found.items()}
    return Base(path.name, dict(config), weights, beside)


def _kept(opened: packed.Packed) -> Iterator[tuple[str, Frozen]]:
    for name, tensor in opened.tensors.items():
        if tensor.form is None:
            yield name, torch.from_numpy(np.array(tensor.vector()))
            continue
        stack = len(tensor.shape) == 3
        each = range(tensor.shape[0]) if stack else [None]
        if tensor.form.bits < 16 and name not in OUTER:
            yield name, Codes.of([tensor.matrix(index) for index in each], stack=stack)
            continue
        whole = np.stack([tensor.matrix(index).dequantize() for index in each])
        yield name, torch.from_numpy(whole if stack else whole[0])


def _texts(path: Path) -> dict[str, str]:
    return {name: read_text(path / name) for name in TEXTS if (path / name).exists()}
