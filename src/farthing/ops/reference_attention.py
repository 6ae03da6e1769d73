"""Attention on arrays: over keys and values, and over latents that are both.

Shapes: T tokens, P positions of one sequence, d head width, w latent width.
"""

from typing import Any

from array_api_compat import array_namespace

from farthing.ops.reference_cache import LayerCache, Step


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
    sinks: Any = None,
) -> Any:
    out = []
    for segment in step.segments:
        mine = slice(segment.start, segment.stop)
        keys, values = layer.extend(segment, k[mine, :], v[mine, :])
        seen = _seen(q, segment.position, segment.stop - segment.start, keys.shape[0], window)
        keys, values = split(keys, kv_heads), split(values, kv_heads)
        queries = split(layer.queries(q[mine, :]), heads)
        for head in range(heads):
            shared = head // (heads // kv_heads)
            scores = queries[:, head, :] @ keys[:, shared, :].T * scale
            weights, total, largest = _exponentials(scores, seen)
            got = layer.rounded(weights) @ values[:, shared, :]
            if sinks is not None:
                kept, total = _beside_sink(total, largest, sinks[head])
                got = got * kept
            out.append(layer.attended(got / total))
    return _beside(out, heads)


def latent_attention(
    q: Any, latent: Any, step: Step, layer: LayerCache, *, heads: int, width: int, scale: float
) -> Any:
    out = []
    for segment in step.segments:
        mine = slice(segment.start, segment.stop)
        (keys,) = layer.extend(segment, latent[mine, :])
        seen = _seen(q, segment.position, segment.stop - segment.start, keys.shape[0], 0)
        queries = split(layer.queries(q[mine, :]), heads)
        for head in range(heads):
            weights, total, _ = _exponentials(queries[:, head, :] @ keys.T * scale, seen)
            out.append(layer.rounded(weights) @ keys[:, :width] / total)
    return _beside(out, heads)


def split(x: Any, heads: int) -> Any:
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


def _exponentials(scores: Any, seen: Any) -> tuple[Any, Any, Any]:
    """Softmax's numerators [t, P], its denominators and the largest scores [t, 1]."""
    xp = array_namespace(scores)
    scores = xp.where(seen, scores, xp.full_like(scores, -xp.inf))
    largest = xp.max(scores, axis=-1, keepdims=True)
    weights = xp.exp(scores - largest)
    return weights, xp.sum(weights, axis=-1, keepdims=True), largest


def _beside_sink(total: Any, largest: Any, sink: Any) -> tuple[Any, Any]:
    """What to multiply the weighted values by, and the denominators with the sink's part.

    Weights are rounded before: they are relative to the largest score that is no sink.
    """
    xp = array_namespace(total)
    top = xp.maximum(largest, xp.broadcast_to(sink, largest.shape))
    kept = xp.exp(largest - top)
    return kept, total * kept + xp.exp(sink - top)
