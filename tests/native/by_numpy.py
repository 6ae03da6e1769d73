"""NumPy's reading of a packed folder, rounded as the native side rounds. Shared by tests here."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farthing import models
from farthing.formats import packed
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import Tensor, bind


def read_by_numpy(folder: Path, tokens: list[int]) -> NDArray[np.float32]:
    """[T, V]: logits of every token, by the folder's own tensors on the same page."""
    checkpoint = packed.open(folder)
    held = {name: numbers(tensor) for name, tensor in checkpoint.tensors.items()}
    model = models.load(checkpoint.config, bind(held, "int8"))
    cache = Cache.empty(model.shape.layers, arithmetic="native")
    return model.forward(Step.of([(0, 0, tokens)]), cache)


def numbers(tensor: packed.PackedTensor) -> Tensor:
    if tensor.form is None:
        return tensor.vector()
    if len(tensor.shape) == 3:
        return [tensor.matrix(index) for index in range(tensor.shape[0])]
    return tensor.matrix()
