"""Synthetic layers: weights, and inputs whose columns are correlated."""

import numpy as np
from numpy.typing import NDArray

from farthing.quantize.types import Weights
from farthing.weight import Form, Matrix

FORMS = [
    Form(bits=bits, group=group, scale="f16", offset=offset)
    for bits in (4, 8)
    for group in (32, 64, 128)
    for offset in ("none", "min", "zero")
]
NAMES = [f"{form.name} g{form.group}" for form in FORMS]


def layer(
    seed: int, rows: int = 48, columns: int = 192, tokens: int = 1024
) -> tuple[Weights, Weights]:
    """Weights [N, K] and inputs [T, K]: few directions hold most energy, and some columns."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((rows, columns)) * random.uniform(0.5, 2, (rows, 1))
    mixing = random.standard_normal((columns // 4, columns))
    x = random.standard_normal((tokens, columns // 4)) @ mixing / 8
    x += 0.3 * random.standard_normal((tokens, columns))
    x *= np.exp(random.standard_normal(columns))
    return weight.astype(np.float32), x.astype(np.float32)


def loss(weight: Weights, matrix: Matrix, x: Weights) -> float:
    """|Wx - Qx|^2 / |Wx|^2 over all inputs, in fp64."""
    wide: NDArray[np.float64] = x.astype(np.float64)
    exact, found = wide @ weight.T, wide @ matrix.dequantize().T
    return float(((exact - found) ** 2).sum() / (exact**2).sum())
