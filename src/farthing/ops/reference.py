"""The ops on arrays: slow, obvious, the judge of every other reading.

Written in the array API's subset, so that the same text runs on NumPy arrays and torch tensors.
Shapes as in ops/__init__.py: T tokens, D width, d head width.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from farthing.ops.reference_attention import attention, latent_attention, split
from farthing.ops.reference_cache import Step
from farthing.ops.reference_linear import Weight, head_linear, linear, logits
from farthing.ops.reference_mixture import experts, gated, route
from farthing.ops.rotation import Rotation

__all__ = [
    "add",
    "attention",
    "embedding",
    "experts",
    "head_linear",
    "join",
    "latent_attention",
    "linear",
    "logits",
    "part",
    "rms_norm",
    "rope",
    "route",
    "rows",
    "scale",
    "silu_mul",
]


def embedding(table: Any, tokens: Any) -> Any:
    if isinstance(table, Weight):
        return array_namespace(tokens).asarray(table.values[np.asarray(tokens)])
    return array_namespace(table).take(table, tokens, axis=0)


def rms_norm(x: Any, weight: Any, *, eps: float, heads: int = 1) -> Any:
    xp = array_namespace(x)
    parts = split(x, heads)
    mean = xp.mean(parts * parts, axis=-1, keepdims=True)
    return xp.reshape(parts / xp.sqrt(mean + eps) * weight, x.shape)


def rope(x: Any, positions: Any, rotation: Rotation, *, heads: int) -> Any:
    xp = array_namespace(x)
    cos, sin = (xp.astype(t, x.dtype)[:, None, :] for t in cos_sin(rotation, positions))
    parts = split(x, heads)
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


def silu_mul(gate: Any, up: Any) -> Any:
    return gated(gate, up)


def add(x: Any, y: Any) -> Any:
    return x + y


def scale(x: Any, factor: float) -> Any:
    return x * factor


def part(x: Any, *, heads: int, begin: int, end: int) -> Any:
    return array_namespace(x).reshape(split(x, heads)[..., begin:end], (x.shape[0], -1))


def join(x: Any, y: Any, *, heads: int) -> Any:
    xp = array_namespace(x)
    return xp.reshape(xp.concat([split(x, heads), split(y, heads)], axis=-1), (x.shape[0], -1))


def rows(x: Any, step: Step) -> Any:
    return array_namespace(x).take(x, step.rows, axis=0)
