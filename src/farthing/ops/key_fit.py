"""How a layer's keys are best rounded to few bits: what calibration finds of keys and queries.

Shapes: t tokens, h kv heads of width d, g query heads to each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
FILE = "key_fits.npz"
"""Beside the weights: see engine/key_fits.py."""
BLOCK = 64
"""Numbers of a head that are turned together, at most."""
DAMPING = 0.02
"""Of the mean energy of queries, added to every direction: they are a sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Of one layer's keys.

    shift [h, d]: added to a key first; a vector that all keys share changes no softmax. feedback
    [h, d, d], below the diagonal: how much of number i's rounding error is taken out of number j,
    j < i, for the error to matter least to queries (LDLQ of QuIP, 2307.13304).
    """

    shift: Floats
    feedback: Floats


def hadamard(width: int) -> Floats:
    """[B, B], B the largest power of two that divides the width, at most BLOCK."""
    block = min(width & -width, BLOCK)
    one = np.ones((1, 1), np.float32)
    while len(one) < block:
        one = np.block([[one, one], [one, -one]])
    return one / np.float32(np.sqrt(block))


def turn(x: Floats) -> Floats:
    """[..., d] -> [..., d]: a head's numbers, block by block, times Hadamard's matrix.

    Products with turned queries stay as they were, and no number stands out any more (QuaRot,
    2404.00456). It is its own inverse.
    """
    matrix = hadamard(x.shape[-1])
    return (x.reshape(*x.shape[:-1], -1, len(matrix)) @ matrix).reshape(x.shape)


def fit(keys: Floats, queries: Floats, *, width: int) -> Fit:
    """From keys [t, h * d] and queries [t, h * g * d] of tokens of text, rotated by position.

    With Q the mean of q qT and L LT = Q, an error e costs |LT e|^2: each number's is made up for by
    those rounded after it.
    """
    k = keys.reshape(len(keys), -1, width)
    q = turn(queries.reshape(len(queries), k.shape[1], -1, width)).astype(np.float64)
    energy = np.einsum("thgi,thgj->hij", q, q) / (len(q) * q.shape[2])
    mean = np.trace(energy, axis1=1, axis2=2)[:, None, None] / width
    energy += DAMPING * np.maximum(mean, np.finfo(np.float32).tiny) * np.eye(width)
    lower = np.linalg.cholesky(energy)
    scaled = lower / np.diagonal(lower, axis1=1, axis2=2)[:, None, :]
    return Fit(
        shift=-k.mean(0, dtype=np.float64).astype(np.float32),
        feedback=np.tril(scaled, -1).astype(np.float32),
    )
