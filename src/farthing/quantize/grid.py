"""The grid that each group of a matrix is rounded to: its scale and offset, found by search.

Shapes: N outputs, K inputs, G groups of g inputs in a row (the last may be short).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.quantize.types import Weights
from farthing.weight import Form, Matrix

SHRINK = {4: np.linspace(0.66, 1.05, 10), 8: np.linspace(0.97, 1.0, 2)}
"""Ranges tried, as shares of the span of a group: clipping its ends makes all steps finer."""
TILE = 1 << 16
"""Weights searched at a time, so that they stay in the cache."""
LARGEST = 1 << 15
UNSEEN = 1e-6
"""Share of the mean importance that every column has: of a group that calibration never met, the
weights are kept all the same."""
FLOAT = {"f16": np.float16, "f32": np.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Weight of a code c: scale * c + low, both [N, G] fp32 and exact in what the form stores."""

    form: Form
    scale: Weights
    low: Weights

    def spread(self, columns: int) -> tuple[Weights, Weights]:
        """Scale and low of every column: [N, K]."""
        scale, low = (np.repeat(x, self.form.group, 1)[:, :columns] for x in (self.scale, self.low))
        return scale, low

    def rows(self, rows: slice) -> "Grid":
        return replace(self, scale=self.scale[rows], low=self.low[rows])

    def codes(self, weight: Weights) -> NDArray[np.uint8]:
        """The nearest code of each weight [N, K], ties to even."""
        scale, low = self.spread(weight.shape[1])
        return nearest(weight, scale, low, self.form).astype(np.uint8)

    def matrix(self, codes: NDArray[np.uint8]) -> Matrix:
        kind: Any = FLOAT[self.form.scale]
        scale = self.scale.astype(kind)
        if self.form.offset == "min":
            return Matrix(form=self.form, codes=codes, scale=scale, minimum=self.low.astype(kind))
        if self.form.offset == "zero":
            zero = origin(self.scale, self.low, self.form).astype(np.float16)
            return Matrix(form=self.form, codes=codes, scale=scale, zero=zero)
        return Matrix(form=self.form, codes=codes, scale=scale)


def check(weight: Weights, form: Form) -> None:
    """Raises InputError for a form that nothing rounds to, and weights that are no numbers."""
    if form.bits == 16 or form.scale not in FLOAT or form.lookup != "none":
        raise InputError(
            f"no method rounds to the form {form.name}; expected 4 or 8 bits with a scale"
            " f16 or f32, symmetric or with a minimum or a zero"
        )
    finite(weight, "weight")
    large = np.abs(weight) > LARGEST
    if form.scale == "f16" and large.any():
        at = tuple(int(i) for i in np.argwhere(large)[0])
        raise InputError(
            f"weight{list(at)} is {weight[at]:g}; expected none beyond {LARGEST}, for the sake of"
            " scales in fp16; keep this tensor as it is"
        )


def finite(values: Weights, what: str) -> None:
    """Raises InputError naming the first number that is NaN or infinite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{what}{list(at)} is {values[at]}, and {int(wrong.sum())} of {values.size} are NaN or"
            " infinite; expected finite numbers: the checkpoint is damaged, or fp16 overflowed"
        )


def search(weight: Weights, form: Form, importance: Weights | None = None) -> Grid:
    """The grid of least squared error of weight [N, K], its columns weighted by importance [K].

    Each group's range is shrunk step by step; for each range the codes are rounded and scale and
    minimum refitted to them by least squares (as llama.cpp's quantizers do); the best is kept.
    """
    n, k = weight.shape
    share = np.ones(k, np.float32) if importance is None else _share(importance)
    share = blocks(share[None], form.group, "constant")
    x = blocks(weight, form.group, "edge")
    step = max(1, TILE // x[0].size)
    parts = [_search(x[at : at + step], share, form) for at in range(0, n, step)]
    scale, low = (np.concatenate(both) for both in zip(*parts, strict=True))
    return Grid(form=form, scale=scale, low=low)


def _share(importance: Weights) -> Weights:
    """[K] near 1, whatever its scale was: products with it neither overflow nor vanish."""
    mean = importance.mean(dtype=np.float64)
    if not mean > 0:
        return np.ones_like(importance, np.float32)
    share: Weights = np.maximum(importance / mean, UNSEEN).astype(np.float32)
    return share


def nearest(x: Weights, scale: Weights, low: Weights, form: Form) -> Weights:
    """Codes as fp32, in range."""
    code = (x - low) * inverse(scale)
    np.rint(code, out=code)
    clipped: Weights = np.clip(code, 0, (1 << form.bits) - 1, out=code)
    return clipped


def _search(x: Weights, share: Weights, form: Form) -> tuple[Weights, Weights]:
    """Scale and low [N, G] of groups [N, G, g]."""
    least: Any = None
    best_scale: Any = None
    best_low: Any = None
    for start in _starts(x, form):
        scale, low = stored(*_refitted(x, share, *start, form), form)
        error = x - (nearest(x, scale, low, form) * scale + low)
        cost = np.einsum("ngi,ngi->ng", error * error, np.broadcast_to(share, x.shape))[..., None]
        if least is None:
            least, best_scale, best_low = cost, scale, low
            continue
        better = cost < least
        least = np.where(better, cost, least)
        best_scale, best_low = np.where(better, scale, best_scale), np.where(better, low, best_low)
    return best_scale[..., 0], best_low[..., 0]


def _starts(x: Weights, form: Form) -> list[tuple[Weights, Weights]]:
    low, high = x.min(-1, keepdims=True), x.max(-1, keepdims=True)
    top, shrink = (1 << form.bits) - 1, SHRINK[form.bits].astype(np.float32)
    if form.offset == "none":
        # the end that is farther out gets the code 0: a scale may be negative
        far = np.where(-low > high, low, high) / np.float32(-form.bias)
        return [(far * share, far * share * -form.bias) for share in shrink]
    if form.offset == "zero":
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    middle, span = (high + low) / 2, high - low
    return [(span * share / top, middle - span * share / 2) for share in shrink]


def _refitted(
    x: Weights, share: Weights, scale: Weights, low: Weights, form: Form
) -> tuple[Weights, Weights]:
    code = nearest(x, scale, low, form)
    if form.offset == "min":
        return _fit_both(x, share, code)
    zero = origin(scale, low, form)
    return _fit(x, share, nearest(x, scale, -zero * scale, form), zero)


def _fit(x: Weights, share: Weights, code: Weights, zero: Weights) -> tuple[Weights, Weights]:
    """Scale and low of least weighted squared error for codes [N, G, g]; zero stays."""
    whole = code - zero
    loud = whole * share
    scale = _total(loud * x) * inverse(_total(loud * whole))
    return scale, -zero * scale


def _fit_both(x: Weights, share: Weights, code: Weights) -> tuple[Weights, Weights]:
    """The same, and low is free."""
    one, loud = _total(np.broadcast_to(share, x.shape)), code * share
    x_mean, code_mean = _total(x * share) * inverse(one), _total(loud) * inverse(one)
    away = code - code_mean
    loud = away * share
    scale = _total(loud * x) * inverse(_total(loud * away))
    return scale, x_mean - scale * code_mean


def _total(x: Weights) -> Weights:
    total: Weights = x.sum(-1, keepdims=True)
    return total


def stored(scale: Weights, low: Weights, form: Form) -> tuple[Weights, Weights]:
    """As the form stores them, in fp32."""
    kind: Any = FLOAT[form.scale]
    kept = scale.astype(kind).astype(np.float32)
    if form.offset == "min":
        return kept, low.astype(kind).astype(np.float32)
    return kept, -origin(scale, low, form) * kept


def origin(scale: Weights, low: Weights, form: Form) -> Weights:
    """The code that means nothing: a whole number, and in a form with zeros one of the codes."""
    if form.offset == "none":
        return np.full_like(scale, form.bias)
    zero: Weights = np.clip(np.rint(-low * inverse(scale)), 0, (1 << form.bits) - 1)
    return zero


def inverse(x: Weights) -> Weights:
    """1 / x, and 0 of 0: a group without a scale has one value."""
    there: Any = x != 0
    inverse: Weights = np.divide(1, x, out=np.zeros_like(x), where=there)
    return inverse


def blocks(x: Weights, group: int, mode: Any) -> Weights:
    """[N, K] -> [N, G, g], a short last group filled up."""
    n, k = x.shape
    return np.pad(x, ((0, 0), (0, -k % group)), mode).reshape(n, -1, group)
