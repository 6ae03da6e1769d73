"""llama.cpp's importance matrix: the mean square of every input of every linear, by our fp32 page.

What its `llama-imatrix` collects, on the calibration text that our methods see.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import references
from numpy.typing import NDArray

from farthing import models
from farthing.evaluate import opened
from farthing.evaluate.divergence import Ids
from farthing.ops import reference, reference_cache

LINEARS = [name for name in references.OF_BLOCK if not name.endswith("norm")]


def collect(checkpoint: opened.Opened, samples: Sequence[Ids]) -> dict[str, NDArray[np.float32]]:
    """By GGUF's names of tensors: [K] of the columns of each."""
    held = {name: checkpoint.floats(name) for name in checkpoint.layouts}
    model = models.load(checkpoint.config, held)
    ours = {id(values): name for name, values in held.items()}
    sums = {name: np.zeros(values.shape[-1]) for name, values in held.items()}
    linear = reference.linear

    def seen(x: Any, weight: Any, *rest: Any, **settings: Any) -> Any:
        sums[ours[id(weight)]] += np.square(x, dtype=np.float64).sum(0)
        return linear(x, weight, *rest, **settings)

    with patch.object(reference, "linear", seen):
        for ids in samples:
            cache = reference_cache.Cache.empty(model.shape.layers)
            model.forward(reference_cache.Step.of([(0, 0, ids.tolist())], rows=[0]), cache)
    tokens = sum(map(len, samples))
    theirs = references.names(checkpoint.config["num_hidden_layers"])
    return {
        gguf: (sums[name] / tokens).astype(np.float32)
        for gguf, name, kind in theirs
        if kind in LINEARS
    }


def save(path: Path, found: dict[str, NDArray[np.float32]]) -> Path:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **found)
    return path
