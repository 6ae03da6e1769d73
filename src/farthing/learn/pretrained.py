"""Weights that somebody trained before, to go on from: any checkpoint that farthing loads.

They come under the page's names, in fp32, out of a Hugging Face folder, a GGUF file or a packed
model; codes of a quantized one come as the numbers that they stand for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing import formats, models
from farthing.errors import FormatError
from farthing.formats import packed

Values = Callable[[str, int | None], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Pretrained:
    config: dict[str, Any]
    weights: dict[str, Tensor]
    """fp32, by the page's names; no next-token head."""

    unused: list[str]
    """What the checkpoint holds beside them, a line each."""


def read(path: Path) -> Pretrained:
    """Raises NotFound if there is nothing, FormatError if it is damaged or no page takes it."""
    if (path / packed.WEIGHTS).is_file():
        found = packed.open(path)
        shapes = {name: tensor.shape for name, tensor in found.tensors.items()}
        return _read(found.config, shapes, _unpacked(found), [])
    checkpoint = formats.open(path)
    shapes = {name: checkpoint.layout(name).shape for name in checkpoint.names()}
    return _read(checkpoint.config, shapes, checkpoint.values, checkpoint.unused)


def _read(
    config: dict[str, Any], shapes: dict[str, tuple[int, ...]], values: Values, unused: list[str]
) -> Pretrained:
    wanted = models.tensors_of(config)
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            raise FormatError(
                f"tensor {name} is {shapes.get(name, 'missing')}, and config.json calls for"
                f" {wanted.get(name, 'none')}; fetch the model again"
            )
    weights = {name: _tensor(name, shape, values) for name, shape in wanted.items()}
    return Pretrained(config, weights, unused)


def _tensor(name: str, shape: tuple[int, ...], values: Values) -> Tensor:
    if len(shape) < 3:
        return torch.from_numpy(np.array(values(name, None), np.float32))
    made = torch.empty(shape)
    for index in range(shape[0]):
        made[index] = torch.from_numpy(np.array(values(name, index), np.float32))
    return made


def _unpacked(found: packed.Packed) -> Values:
    def values(name: str, index: int | None) -> NDArray[np.float32]:
        tensor = found.tensors[name]
        if tensor.form is None:
            return tensor.vector()
        return tensor.matrix(index).dequantize()

    return values
