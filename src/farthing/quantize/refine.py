"""After GPTQ: scales fitted to its codes, each code moved where that loses less, scales again.

The error is that of the outputs, (w - q) H (w - q) for each row: quadratic in all scales together,
so that they are one system of equations, and in each code alone (coordinate descent, QuantEase,
2309.01885). Shapes: N outputs, K inputs, G groups of g inputs, P numbers a group (scale, minimum).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from farthing.quantize.grid import Grid, blocks, inverse, origin, stored
from farthing.quantize.types import Weights

BLOCK = 64
"""Columns whose moves are told to those behind together, by one product of matrices."""
ROWS = 1024
LARGEST = 1 << 23
"""Coefficients of the equations of all rows in hand: 64 MB in fp64."""
STAY = 1e-4
"""How much a group's numbers are held where they are, as a share of how much they matter."""

Codes = NDArray[np.uint8]


def refined(weight: Weights, grid: Grid, codes: Codes, hessian: Weights) -> tuple[Grid, Codes]:
    """A better grid and better codes for weight [N, K]; hessian [K, K] is damped, all positive."""
    numbers = grid.scale.shape[1] * (2 if grid.form.offset == "min" else 1)
    step = min(max(1, LARGEST // numbers**2), ROWS)
    scale, low = np.empty_like(grid.scale), np.empty_like(grid.low)
    out = np.empty_like(codes)
    for at in range(0, len(weight), step):
        rows = slice(at, at + step)
        first = refitted(weight[rows], grid.rows(rows), codes[rows], hessian)
        out[rows] = descended(weight[rows], first, codes[rows], hessian)
        last = refitted(weight[rows], first, out[rows], hessian)
        scale[rows], low[rows] = last.scale, last.low
    return replace(grid, scale=scale, low=low), out


def refitted(weight: Weights, grid: Grid, codes: Codes, hessian: Weights) -> Grid:
    """The scales, and minima if the form has them, of least error for these codes."""
    form, groups = grid.form, grid.scale.shape[1]
    zero = origin(grid.scale, grid.low, form)
    now, whole = [grid.scale], blocks(codes.astype(np.float32), form.group, "edge")
    if form.offset == "min":
        now.append(grid.low)
    else:
        whole = whole - zero[..., None]
    equations, wanted = _equations(weight, whole, len(now), hessian)
    pull = STAY * np.einsum("npp->np", equations) + np.finfo(np.float32).tiny
    np.einsum("npp->np", equations)[:] += pull
    wanted += pull * np.concatenate(now, 1)
    best = np.linalg.solve(equations, wanted[..., None])[..., 0].astype(np.float32)
    low = best[:, groups:] if form.offset == "min" else -zero * best
    scale, low = stored(best[:, :groups], low, form)
    return replace(grid, scale=scale, low=low)


def descended(weight: Weights, grid: Grid, codes: Codes, hessian: Weights) -> Codes:
    """One pass over the columns, each code put where the error is least while the others stay."""
    k, top = weight.shape[1], (1 << grid.form.bits) - 1
    # columns are rows of memory
    scale, low = (np.ascontiguousarray(x.T) for x in grid.spread(k))
    per, now = inverse(scale), np.ascontiguousarray(codes.T).astype(np.float32)
    force = hessian @ (weight.T - (now * scale + low))
    moved = np.empty((BLOCK, len(weight)), np.float32)
    for a in range(0, k, BLOCK):
        b = min(a + BLOCK, k)
        within = np.ascontiguousarray(hessian[a:b, a:b])
        for i, j in enumerate(range(a, b)):
            left = (force[j] - within[i, :i] @ moved[:i]) / within[i, i]
            code = np.clip(np.rint(now[j] + left * per[j]), 0, top)
            moved[i] = (code - now[j]) * scale[j]
            now[j] = code
        force[b:] -= hessian[b:, a:b] @ moved[: b - a]
    return np.ascontiguousarray(now.T).astype(np.uint8)


def _equations(
    weight: Weights, whole: Weights, per: int, hessian: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A [N, PG, PG] and y [N, PG] of A s = y, for codes less their zero [N, G, g]."""
    n, groups, g = whole.shape
    spare = groups * g - weight.shape[1]
    h = np.pad(hessian, ((0, spare), (0, spare))) if spare else hessian
    aim = np.pad(weight @ hessian, ((0, 0), (0, spare))).reshape(whole.shape)
    a, y = np.empty((n, per, groups, per, groups)), np.empty((n, per, groups))
    y[:, 0] = np.einsum("ngi,ngi->ng", aim, whole)
    for at in range(groups):
        felt = whole[:, at] @ h[at * g : (at + 1) * g, at * g :]
        a[:, 0, at, 0, at:] = np.einsum("ngi,ngi->ng", felt.reshape(n, -1, g), whole[:, at:])
        a[:, 0, at:, 0, at] = a[:, 0, at, 0, at:]
    if per == 2:
        # a minimum is the scale of a code that is one everywhere
        ones = h.reshape(groups, g, groups, g).sum(-1)
        y[:, 1], a[:, 1, :, 1] = aim.sum(-1), ones.sum(1)
        a[:, 0, :, 1] = np.einsum("ngi,gih->ngh", whole, ones, optimize=True)
        a[:, 1, :, 0] = a[:, 0, :, 1].transpose(0, 2, 1)
    return a.reshape(n, per * groups, per * groups), y.reshape(n, per * groups)
