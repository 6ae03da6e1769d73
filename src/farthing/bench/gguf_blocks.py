"""GGUF's blocks of four bits, made from the rows of a pool."""

import numpy as np
from numpy.typing import NDArray

from farthing.bench.noise import Kind
from farthing.weight import Matrix

Q4_0, Q4_K, MXFP4 = 18, 144, 17
"""Bytes of a block: of 32, 256 and 32 weights."""
SPREAD_Q4_K = 223.0
"""Of a code around 7.5, times its sub-scale in 32..63, times the spread of the super-scale."""


def encode(matrix: Matrix, kind: Kind, *, super: bool) -> NDArray[np.uint8]:
    """[N, bytes of a row]: MXFP4 for E2M1 forms, else Q4_0, or Q4_K with codes of the matrix but
    scales of its own."""
    if super:
        return _q4_k(matrix, kind)
    assert matrix.scale is not None
    rows, columns = matrix.shape
    head = np.ascontiguousarray(matrix.scale).view(np.uint8).reshape(rows, columns // 32, -1)
    codes = matrix.codes.reshape(rows, columns // 32, 32)
    blocks = np.concatenate([head, codes[..., :16] | codes[..., 16:] << 4], -1)
    return blocks.reshape(rows, -1)


def _q4_k(matrix: Matrix, kind: Kind) -> NDArray[np.uint8]:
    """Minimum and scale are equal but for a factor of 7.5, so that weights have no mean."""
    random = np.random.default_rng(0)
    rows, supers = matrix.shape[0], kind.columns // 256
    d = np.full((rows, supers, 1), kind.size / SPREAD_Q4_K) * random.choice(
        (-1.0, 1.0), (rows, supers, 1)
    )
    one = random.integers(32, 64, (rows, supers, 8), np.uint8)
    low, high = one[..., :4], one[..., 4:]
    subs = [low | high >> 4 << 6, low | high >> 4 << 6, high & 15 | (high & 15) << 4]
    pairs = matrix.codes.reshape(rows, supers, 4, 2, 32)
    codes = (pairs[..., 0, :] | pairs[..., 1, :] << 4).reshape(rows, supers, 128)
    heads = [x.astype(np.float16).view(np.uint8) for x in (d, 7.5 * d)]
    return np.concatenate([*heads, *subs, codes], -1).reshape(rows, -1)
