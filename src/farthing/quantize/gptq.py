"""GPTQ: round column by column, and let the columns not yet rounded make up for the error.

Frantar et al., 2210.17323, the columns in the order of their energy while groups stay where they
lie, every group's scale chosen before by what its columns' errors will really cost, and both
refined after (refine.py).
Shapes: N outputs, K inputs.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.quantize import beside
from farthing.quantize.grid import Grid, check, finite, inverse, search
from farthing.quantize.refine import refined
from farthing.quantize.types import Drift, Weights
from farthing.weight import Form, Matrix

DAMP = 0.03
"""Share of the mean energy added to each column's: the Hessian gets an inverse, and columns without
data count a little. Inputs that calibration did not see lose 1 % less than with 0.01."""
BLOCK = 64
"""Columns whose errors are pushed on together, by one product of matrices."""
ROWS = 1024
"""Rows at a time: BLOCK columns of them stay in a core's cache."""
LARGE = 2048
"""Inputs beyond which memory counts more than time."""
SMALL = 64
"""Triangles of up to this size are inverted directly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A Hessian made ready: all matrices that read the same input share it.

    order [K]: the columns, the most energetic first.
    upper [K, K]: U of inverse(H) = UT U, rows and columns in that order.
    cost [K]: what a squared error of each column costs after those behind it in the order have made
    up for it as well as they can: 1 / U_jj^2. Better scales than with the energy H_jj, by 6 %.
    hessian [K, K]: H damped, its mean energy 1, columns where they lie.
    drift [K, K]: D inverse(H), what of the error made before can be told from the input; or None.
    """

    order: NDArray[np.intp]
    upper: Weights
    cost: Weights
    hessian: Weights
    drift: Weights | None = None

    @classmethod
    def of(cls, hessian: Weights, drift: Drift | None = None) -> Self:
        """From the sum or mean of x xT [K, K].

        With `drift`, where x' is the input as it was before anything was quantized, the weights aim
        at W x' as well as W' x can: W' = W + W D inverse(H), a regression on the rows that D and H
        are both of (GPTAQ, 2504.02692, has the idea). Raises InputError if it is not finite, saw no
        data, or is the Hessian of nothing.
        """
        finite(hessian, "hessian")
        energy = np.diag(hessian).astype(np.float64)
        if not energy.max() > 0:
            raise InputError("the Hessian is zero: no calibration data; give this layer tokens")
        order = np.argsort(-energy, kind="stable")
        damped = _damped(hessian)
        told, whole = beside.both(
            lambda: None if drift is None else _regression(drift),
            lambda: _inverted(damped, order),
            in_turn=len(order) > LARGE,
        )
        cost = np.empty(len(order), np.float32)
        cost[order] = 1 / np.diag(whole) ** 2
        upper = np.ascontiguousarray(whole, np.float32)
        return cls(order=order, upper=upper, cost=cost, hessian=damped, drift=told)

    def aim(self, weight: Weights) -> Weights:
        """The weights whose outputs are to be met: W' of `of`."""
        return weight if self.drift is None else weight + weight @ self.drift


def _damped(hessian: Weights) -> Weights:
    """Its mean energy 1, and DAMP more in every direction."""
    out: Weights = (hessian / np.diag(hessian).astype(np.float64).mean()).astype(np.float32)
    out[np.diag_indices_from(out)] += np.float32(DAMP)
    return out


def _inverted(damped: Weights, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """U of inverse(H) = UT U, rows and columns in this order."""
    last = order[::-1]
    try:
        lower = np.linalg.cholesky(damped[np.ix_(last, last)].astype(np.float64))
    except np.linalg.LinAlgError as error:
        raise InputError(
            "the Hessian is no sum of x xT: not positive; expected the moments of real inputs"
        ) from error
    _invert(lower)
    # H = M MT with M the factor read from its end, so inverse(H) = UT U with U = inverse(M)
    return lower[::-1, ::-1]


def _regression(drift: Drift) -> Weights:
    """[K, K]: what of x' - x can be told from x.

    Fewer rows for each input damp more, lest chance be taken for drift: SmolLM2's first layers lose
    a tenth less with 5 rows an input than by DAMP alone, and a quarter less with 0.7, where DAMP
    alone was worse than no drift.
    """
    finite(drift.moved, "drift")
    finite(drift.hessian, "hessian of what drifted")
    mean = np.diag(drift.hessian).astype(np.float64).mean()
    if not mean > 0:
        return np.zeros_like(drift.moved)
    damped = _damped(drift.hessian)
    damped[np.diag_indices_from(damped)] += np.float32(len(damped) / drift.count)
    told = np.linalg.solve(damped, (drift.moved / np.float32(mean)).T).T
    return np.ascontiguousarray(told, np.float32)


def gptq(weight: Weights, form: Form, hessian: Weights | Factor) -> Matrix:
    """Weight [N, K] in `form`, at little error of its outputs on inputs of this Hessian.

    The Hessian is the sum or mean of x xT [K, K], or the Factor made of it.
    Raises InputError for numbers that are NaN or infinite, and for a Hessian of zeros.
    """
    check(weight, form)
    factor = hessian if isinstance(hessian, Factor) else Factor.of(hessian)
    if factor.drift is not None:
        weight = factor.aim(weight)
        check(weight, form)
    grid = search(weight, form, factor.cost)
    codes = np.empty(weight.shape, np.uint8)
    for at in range(0, len(weight), ROWS):
        rows = slice(at, at + ROWS)
        codes[rows] = _rounded(weight[rows], grid.rows(rows), factor)
    grid, codes = refined(weight, grid, codes, factor.hessian)
    return grid.matrix(codes)


def _rounded(weight: Weights, grid: Grid, factor: Factor) -> NDArray[np.uint8]:
    """Codes [N, K]; inside, columns are rows of memory, in the order of the factor."""
    order, upper, k = factor.order, factor.upper, weight.shape[1]
    scale, low = (np.ascontiguousarray(x.T[order]) for x in grid.spread(k))
    left, per, top = (
        np.ascontiguousarray(weight.T[order]),
        inverse(scale),
        (1 << grid.form.bits) - 1,
    )
    codes = np.empty(left.shape, np.uint8)
    errors = np.empty((BLOCK, left.shape[1]), np.float32)
    for a in range(0, k, BLOCK):
        b = min(a + BLOCK, k)
        within = np.ascontiguousarray(upper[a:b, a:b].T)
        for i, j in enumerate(range(a, b)):
            now = left[j] - within[i, :i] @ errors[:i]
            code = np.clip(np.rint((now - low[j]) * per[j]), 0, top)
            errors[i] = (now - (code * scale[j] + low[j])) / upper[j, j]
            codes[j] = code
        left[b:] -= upper[a:b, b:].T @ errors[: b - a]
    placed = np.empty_like(codes)
    placed[order] = codes
    return np.ascontiguousarray(placed.T)


def _invert(lower: NDArray[np.floating]) -> None:
    """A lower triangle becomes its inverse, by halves."""
    n = len(lower)
    if n <= SMALL:
        lower[:] = np.tril(np.linalg.inv(lower))
        return
    half = n // 2
    first, last = lower[:half, :half], lower[half:, half:]
    _invert(first)
    _invert(last)
    lower[half:, :half] = -(last @ (lower[half:, :half] @ first))
