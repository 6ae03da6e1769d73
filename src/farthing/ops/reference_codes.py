"""Keys and values of fewer bits than bf16, as the native cache keeps them: NumPy alone.

Shapes: t tokens, h heads of width d.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.ops.cache_grids import Grid
from farthing.ops.key_fit import Fit, turn
from farthing.weight import bf16_to_f32, f32_to_bf16

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Codes:
    """How a layer's cache rounds. Latents, which have no width, are not turned: they are values."""

    key: Grid
    value: Grid
    width: int = 0
    fit: Fit | None = None

    def keys(self, k: Floats) -> Floats:
        """[t, h * d], turned and rounded."""
        if not self.width:
            return rounded(k, self.key)
        heads = k.reshape(len(k), -1, self.width)
        if self.fit is not None:
            heads = heads + self.fit.shift
        turned = turn(heads)
        if self.fit is None:
            return rounded(turned, self.key).reshape(k.shape)
        each = range(turned.shape[1])
        out = [fed(turned[:, h], self.fit.feedback[h], self.key) for h in each]
        return np.stack(out, 1).reshape(k.shape)

    def values(self, v: Floats) -> Floats:
        """[t, h * d], turned and rounded; see `attended`."""
        heads = v.reshape(len(v), -1, self.width)
        return rounded(turn(heads), self.value).reshape(v.shape)

    def attended(self, x: Floats) -> Floats:
        """[t, d] of values as they are kept: as it would be of values as they came."""
        return turn(x)

    def queries(self, q: Floats) -> Floats:
        if not self.width:
            return q
        return turn(q.reshape(len(q), -1, self.width)).reshape(q.shape)


def rounded(x: Floats, grid: Grid) -> Floats:
    """[..., d] as it is read again."""
    scale, offset = _scales(x, grid)
    return bf16_to_f32(f32_to_bf16(_codes((x - offset) / scale, grid) * scale + offset))


def fed(x: Floats, feedback: Floats, grid: Grid) -> Floats:
    """[t, d], the last number rounded first, by feedback [d, d]."""
    scale, offset = _scales(x, grid)
    wanted, out = x.copy(), np.empty_like(x)
    for i in range(x.shape[1])[::-1]:
        code = _codes((wanted[:, i] - offset[:, i]) / scale[:, i], grid)
        out[:, i] = code * scale[:, i] + offset[:, i]
        wanted[:, :i] -= (out[:, i] - x[:, i])[:, None] * feedback[i, :i]
    return bf16_to_f32(f32_to_bf16(out))


def _codes(x: Floats, grid: Grid) -> Floats:
    return np.clip(np.rint(x), 0, (1 << grid.bits) - 1)


def _scales(x: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """Scale and offset of every number: x = scale * code + offset. A scale of 0 reads as 1."""
    groups = [x[..., at : at + grid.group] for at in range(0, x.shape[-1], grid.group)]
    low, high = (np.stack([f(g, -1) for g in groups], -1) for f in (np.min, np.max))
    middle, top = np.float32(1 << (grid.bits - 1)), np.float32((1 << grid.bits) - 1)
    extreme = np.where(high >= -low, high, low)
    scale = _half((high - low) / top if grid.minimum else -extreme / middle)
    offset = _half(low) if grid.minimum else -middle * scale
    spread = (np.repeat(v, grid.group, -1)[..., : x.shape[-1]] for v in (scale, offset))
    wide, least = spread
    return np.where(wide == 0, np.float32(1), wide), least


def _half(x: NDArray[np.floating]) -> Floats:
    halves: Floats = np.clip(x, -65504, 65504).astype(np.float16).astype(np.float32)
    return halves
