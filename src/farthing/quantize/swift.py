"""Ops of the array reading as calibration needs them: whole samples, fresh caches, fp32, in place.

Each is held to `farthing.ops` by a test. Shapes: T tokens, L tokens of a sample, d width of a head.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from farthing.ops.mixture import SILU, Activation
from farthing.ops.reference import cos_sin
from farthing.ops.rotation import Rotation
from farthing.quantize.types import Weights

BLOCK = 384
"""Rows of scores made at once, of all heads that share keys: with 512 keys they stay in a core's
cache."""
TILE = 1 << 16
"""Numbers that a gated unit is made of at once, so that they stay there too."""


def rms_norm(x: Weights, weight: Weights, *, eps: float, heads: int = 1) -> Weights:
    parts = x.reshape(len(x), heads, -1)
    mean = np.einsum("thd,thd->th", parts, parts)[..., None] / np.float32(parts.shape[-1])
    out: Weights = parts * (1 / np.sqrt(mean + np.float32(eps)))
    out *= weight
    return out.reshape(x.shape)


def gated(gate: Weights, up: Weights, activation: Activation = SILU) -> Weights:
    """As ops.reference_mixture.gated."""
    made, step = np.empty_like(gate), max(TILE // gate.shape[1], 1)
    for at in range(0, len(gate), step):
        rows = slice(at, at + step)
        _gated(gate[rows], up[rows], activation, made[rows])
    return made


def _gated(gate: Weights, up: Weights, activation: Activation, out: Weights) -> None:
    if activation.limit < inf:
        gate = np.minimum(gate, np.float32(activation.limit))
        up = np.clip(up, -activation.limit, activation.limit)
    np.multiply(gate, np.float32(-activation.sharpness), out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    out += 1
    np.divide(gate, out, out=out)
    out *= up + np.float32(activation.shift) if activation.shift else up


class Turn:
    """Rotary embedding of samples of these lengths, its angles worked out once."""

    def __init__(self, rotation: Rotation, positions: Any) -> None:
        self.rotation = rotation
        self.cos, self.sin = (x[:, None, :] for x in cos_sin(rotation, positions))

    def __call__(self, x: Weights, heads: int) -> Weights:
        half = self.cos.shape[-1]
        parts = x.reshape(len(x), heads, -1)
        out = parts.copy()
        pairs: list[Any] = [slice(0, half), slice(half, 2 * half)]
        if self.rotation.layout == "interleaved":
            pairs = [slice(0, 2 * half, 2), slice(1, 2 * half, 2)]
        a, b = (parts[..., pair] for pair in pairs)
        out[..., pairs[0]] = a * self.cos - b * self.sin
        out[..., pairs[1]] = b * self.cos + a * self.sin
        return out.reshape(x.shape)


def attention(
    q: Weights,
    k: Weights,
    v: Weights,
    lengths: tuple[int, ...],
    *,
    heads: int,
    kv_heads: int,
    scale: float,
    window: int = 0,
    sinks: Weights | None = None,
) -> Weights:
    """Causal, each sample by itself: q [T, heads * d], k and v [T, kv_heads * their own widths]."""
    shared, wide = heads // kv_heads, v.shape[1] // kv_heads
    out = np.empty((len(q), kv_heads, shared, wide), np.float32)
    queries = (q * np.float32(scale)).reshape(len(q), kv_heads, shared, -1)
    keys, values = _by_head(k, kv_heads), _by_head(v, kv_heads)
    at = 0
    for length in lengths:
        for head in range(kv_heads):
            mine = slice(at, at + length)
            sink = None if sinks is None else sinks.reshape(kv_heads, 1, shared, 1)[head]
            for a, b, low in _blocks(length, shared, window):
                asked = queries[at + a : at + b, head].reshape((b - a) * shared, -1)
                seen, held = keys[head, mine][low:b], values[head, mine][low:b]
                scores: Weights = np.matmul(asked, seen.T, dtype=np.float32)
                scores = scores.reshape(b - a, shared, b - low)
                total = _softened(scores, a, b, low, window, sink)
                got = scores.reshape(-1, b - low) @ held
                out[at + a : at + b, head] = got.reshape(b - a, shared, wide) / total
        at += length
    return out.reshape(len(q), heads * wide)


def _softened(
    scores: Weights, a: int, b: int, low: int, window: int, sink: Weights | None
) -> Weights:
    """Exponentials in place of the scores of queries a..b and keys low..b; their sums."""
    if window:
        scores += _hidden(a - low, b - low, window)
    else:
        scores[..., a:] += _hidden(0, b - a, 0)  # what came before a is seen by all
    largest = scores.max(-1, keepdims=True)
    if sink is not None:
        largest = np.maximum(largest, sink)
    scores -= largest
    np.exp(scores, out=scores)
    total: Weights = scores.sum(-1, keepdims=True)
    return total if sink is None else total + np.exp(sink - largest)


@lru_cache(64)
def _hidden(a: int, b: int, window: int) -> Weights:
    """[b - a, 1, b]: -inf where query a.. must not see key 0..b."""
    here, there = np.arange(a, b)[:, None, None], np.arange(b)[None, None, :]
    hidden = there > here
    if window:
        hidden = hidden | (there <= here - window)
    return np.where(hidden, np.float32(-inf), np.float32(0))


def _blocks(length: int, shared: int, window: int) -> Iterator[tuple[int, int, int]]:
    """Queries a..b and the first key that one of them sees."""
    step = max(BLOCK // shared, 16)
    for a in range(0, length, step):
        yield a, min(a + step, length), max(0, a - window + 1) if window else 0


def _by_head(x: Weights, heads: int) -> Weights:
    """[T, heads * d] -> [heads, T, d]"""
    return np.ascontiguousarray(x.reshape(len(x), heads, -1).transpose(1, 0, 2))
