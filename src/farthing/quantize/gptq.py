"""GPTQ: round column by column, and let the columns not yet rounded make up for the error.

Frantar et al., 2210.17323, in the order of the columns' energy, while groups stay where they lie.
Shapes: N outputs, K inputs.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.quantize.grid import check, finite, nearest, search
from farthing.quantize.types import Weights
from farthing.weight import Form, Matrix

DAMP = 0.01
"""Share of the mean energy that is added to each column's, so that the Hessian has an inverse."""
BLOCK = 128
"""Columns whose errors are pushed on together, by one product of matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A Hessian ready for use: all matrices that read the same input share it.

    upper [K, K]: U of inverse(H) = UT U, the columns in `order`, the most energetic first.
    importance [K]: the energy of each column, as H has them.
    """

    order: NDArray[np.intp]
    upper: Weights
    importance: Weights

    @classmethod
    def of(cls, hessian: Weights) -> Self:
        """Raises InputError for a Hessian that is not finite, or that saw no data."""
        finite(hessian, "hessian")
        energy = np.diag(hessian).astype(np.float64)
        if not energy.max() > 0:
            raise InputError("the Hessian is zero: no calibration data; give this layer tokens")
        order = np.argsort(-energy, kind="stable")
        h = hessian.astype(np.float64)[order][:, order] / energy.mean()
        h[np.diag_indices_from(h)] += DAMP
        # with rows and columns reversed, the Cholesky factor of H inverted is that of its inverse
        lower = np.linalg.cholesky(h[::-1, ::-1])
        upper = np.linalg.inv(lower)[::-1, ::-1]
        return cls(
            order=order,
            upper=np.ascontiguousarray(upper, np.float32),
            importance=(energy / energy.mean() + DAMP).astype(np.float32),
        )


def gptq(weight: Weights, form: Form, hessian: Weights | Factor) -> Matrix:
    """Weight [N, K] in `form`, at little error of its outputs on inputs of this Hessian.

    The Hessian [K, K] is the sum or mean of x xT, or a Factor made of it.
    Raises InputError for numbers that are NaN or infinite, and for a Hessian of zeros.
    """
    check(weight, form)
    factor = hessian if isinstance(hessian, Factor) else Factor.of(hessian)
    grid = search(weight, form, factor.importance)
    order, upper, k = factor.order, factor.upper, weight.shape[1]
    # columns as rows of memory
    left = np.ascontiguousarray(weight.T[order])
    scale, low = (np.ascontiguousarray(x.T[order]) for x in grid.spread(k))
    codes = np.empty_like(left)
    for a in range(0, k, BLOCK):
        b = min(a + BLOCK, k)
        errors = np.empty_like(left[a:b])
        for j in range(a, b):
            codes[j] = nearest(left[j], scale[j], low[j], form)
            error = (left[j] - (codes[j] * scale[j] + low[j])) / upper[j, j]
            left[j:b] -= upper[j, j:b, None] * error
            errors[j - a] = error
        left[b:] -= upper[a:b, b:].T @ errors
    back = np.empty_like(order)
    back[order] = np.arange(k)
    return grid.matrix(np.ascontiguousarray(codes[back].T).astype(np.uint8))
