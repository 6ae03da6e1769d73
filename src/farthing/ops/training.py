"""The native kernels of a training step: arrays in, arrays out, of bf16 as int16, all contiguous.

Each takes the instruction set to run on and how many threads; bits do not depend on the latter.
A shape or an index that does not fit is a ValueError, an array of another dtype or with gaps a
TypeError, before anything is read. Work is done without the interpreter's lock.

Shapes: n rows, d width.
"""

import numpy as np
from numpy.typing import NDArray

from farthing import _native

Bf16 = NDArray[np.int16]
Floats = NDArray[np.float32]


def cross_entropy(
    isa: str,
    logits: Bf16,
    targets: NDArray[np.int64],
    learned: Floats,
    losses: Floats,
    threads: int,
) -> None:
    """logits [n, V] become (softmax - 1 at the target) * learned; losses [n] -log p(target).

    Probabilities and losses are in fp32, of what the logits hold; the slopes are then rounded.
    """
    _native.train_cross_entropy(isa, logits, targets, learned, losses, threads)


def add(isa: str, x: Bf16, sums: Floats, threads: int) -> None:
    """sums [n, d] += x."""
    _native.train_add(isa, x, sums, threads)


def largest(isa: str, x: Floats, ids: NDArray[np.int64], threads: int) -> None:
    """ids [n, k] of each row's k largest, the largest first, of equals the first first."""
    _native.train_largest(isa, x, ids, threads)


def norm(
    isa: str, x: Bf16, weight: Floats, eps: float, y: Bf16, inverse: Floats, threads: int
) -> None:
    """y [n, d]: rows of x over their root mean squares, times weight; inverse [n]: 1 over those."""
    _native.train_norm(isa, x, weight, eps, y, inverse, threads)


def norm_back(
    isa: str,
    grad: Bf16,
    x: Bf16,
    inverse: Floats,
    weight: Floats,
    grad_x: Bf16,
    grad_weight: Floats,
    threads: int,
) -> None:
    """Gradients of `norm` by x [n, d] and weight [d]."""
    _native.train_norm_back(isa, grad, x, inverse, weight, grad_x, grad_weight, threads)


def turn(
    isa: str,
    x: Bf16,
    angles: tuple[Floats, Floats],
    y: Bf16,
    *,
    heads: int,
    interleaved: bool,
    back: bool,
    threads: int,
) -> None:
    """Rotary positions: each head of x [n, heads * d] turned by angles, cos and sin [n, r / 2].

    Numbers beyond the first r of a head stay. `back` turns by the opposite angles.
    """
    _native.train_turn(isa, x, *angles, heads, interleaved, back, y, threads)


def gated(isa: str, gate: Bf16, up: Bf16, by_row: Floats | None, y: Bf16, threads: int) -> None:
    """y [n, d] = silu(gate) * up * by_row [n], which is ones where it is None."""
    _native.train_gated(isa, gate, up, by_row, y, threads)


def gated_back(
    isa: str,
    grad: Bf16,
    inputs: tuple[Bf16, Bf16, Floats | None],
    grads: tuple[Bf16, Bf16, Floats | None],
    threads: int,
) -> None:
    """Gradients of `gated` by its three inputs; they may lie where grad and inputs do."""
    _native.train_gated_back(isa, grad, *inputs, *grads, threads)
