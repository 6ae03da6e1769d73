"""The ops on arrays: slow, obvious, the judge of every other reading.

Written in the array API's subset, so that the same text runs on NumPy arrays and torch tensors.
Shapes as in ops/__init__.py: T tokens, D width, d head width.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from farthing.ops.reference_cache import LayerCache, Step
from farthing.ops.reference_linear import Weight, linear, logits
from farthing.ops.rotation import Rotation

__all__ = [
    "add",
    "attention",
    "embedding",
    "linear",
    "logits",
    "rms_norm",
    "rope",
    "rows",
    "silu_mul",
]


def embedding(table: Any, tokens: Any) -> Any:
    if isinstance(table, Weight):
        return array_namespace(tokens).asarray(table.values[np.asarray(tokens)])
    return array_namespace(table).take(table, tokens, axis=0)


def rms_norm(x: Any, weight: Any, *, eps: float, heads: int = 1) -> Any:
    xp = array_namespace(x)
    parts = _split(x, heads)
    mean = xp.mean(parts * parts, axis=-1, keepdims=True)
    return xp.reshape(parts / xp.sqrt(mean + eps) * weight, x.shape)


def rope(x: Any, positions: Any, rotation: Rotation, *, heads: int) -> Any:
    xp = array_namespace(x)
    cos, sin = (xp.astype(t, x.dtype)[:, None, :] for t in cos_sin(rotation, positions))
    parts = _split(x, heads)
    turned, rest = parts[..., : 2 * cos.shape[-1]], parts[..., 2 * cos.shape[-1] :]
    if rotation.layout == "half":
        a, b = turned[..., : cos.shape[-1]], turned[..., cos.shape[-1] :]
        out = xp.concat([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)
    else:
        a, b = turned[..., 0::2], turned[..., 1::2]
        pairs = xp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1)
        out = xp.concat([xp.reshape(pairs, turned.shape), rest], axis=-1)
    return xp.reshape(out, x.shape)


def cos_sin(rotation: Rotation, positions: Any) -> tuple[Any, Any]:
    """fp32 [T, rotary / 2] each, magnitude included.

    The angle is rounded to fp32, as in training; its cosine is taken in fp64, as exact as can be.
    """
    xp = array_namespace(positions)
    frequencies = xp.asarray(rotation.frequencies)
    angles = xp.astype(positions, xp.float32)[:, None] * frequencies[None, :]
    angles = xp.astype(angles, xp.float64)
    cos, sin = xp.cos(angles) * rotation.magnitude, xp.sin(angles) * rotation.magnitude
    return xp.astype(cos, xp.float32), xp.astype(sin, xp.float32)


def attention(
    q: Any,
    k: Any,
    v: Any,
    step: Step,
    layer: LayerCache,
    *,
    heads: int,
    kv_heads: int,
    scale: float,
    window: int = 0,
) -> Any:
    out = []
    for segment in step.segments:
        mine = slice(segment.start, segment.stop)
        keys, values = layer.extend(segment, k[mine, :], v[mine, :])
        seen = _seen(q, segment.position, segment.stop - segment.start, keys.shape[0], window)
        keys, values = _split(keys, kv_heads), _split(values, kv_heads)
        queries = _split(layer.rounded(q[mine, :]), heads)
        for head in range(heads):
            shared = head // (heads // kv_heads)
            scores = queries[:, head, :] @ keys[:, shared, :].T * scale
            weights, total = _exponentials(scores, seen)
            out.append(layer.rounded(weights) @ values[:, shared, :] / total)
    return _beside(out, heads)


def silu_mul(gate: Any, up: Any) -> Any:
    xp = array_namespace(gate)
    # exp(-|x|) never overflows; both branches equal x / (1 + exp(-x))
    small = xp.exp(-xp.abs(gate))
    return gate * xp.where(gate < 0, small, xp.ones_like(small)) / (1 + small) * up


def add(x: Any, y: Any) -> Any:
    return x + y


def rows(x: Any, step: Step) -> Any:
    return array_namespace(x).take(x, step.rows, axis=0)


def _split(x: Any, heads: int) -> Any:
    """[T, D] -> [T, heads, D / heads]"""
    return array_namespace(x).reshape(x, (x.shape[0], heads, x.shape[1] // heads))


def _beside(out: list[Any], heads: int) -> Any:
    """Results of segments, `heads` each in turn, [t, d] -> [T, heads * d]."""
    xp = array_namespace(out[0])
    lines = [xp.concat(out[i : i + heads], axis=1) for i in range(0, len(out), heads)]
    return xp.concat(lines, axis=0)


def _seen(like: Any, position: int, new: int, keys: int, window: int) -> Any:
    """[new, keys]: whether each new token, the first at `position`, sees each position."""
    xp = array_namespace(like)
    here, there = xp.arange(position, position + new)[:, None], xp.arange(keys)[None, :]
    seen = there <= here
    return seen & (there > here - window) if window else seen


def _exponentials(scores: Any, seen: Any) -> tuple[Any, Any]:
    """Softmax's numerators [t, P] and its denominators [t, 1]."""
    xp = array_namespace(scores)
    scores = xp.where(seen, scores, xp.full_like(scores, -xp.inf))
    weights = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    return weights, xp.sum(weights, axis=-1, keepdims=True)
