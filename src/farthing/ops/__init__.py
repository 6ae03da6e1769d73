"""The ops a model page is written with. One text, several readings.

Given arrays (NumPy, or any array API such as torch), an op computes: `reference.py`, slow, obvious
and the judge. Given symbols, it notes itself down: `record.py`, replayed by the native side. Within
`reading`, arrays are read by what it was given instead: training brings faster forms of the ops.

Shapes: T tokens of a step, R rows whose logits are wanted, D any width. Heads lie side by side.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from farthing.ops import record, reference
from farthing.ops.mixture import SILU, Activation, Bank, Router
from farthing.ops.record import Symbol
from farthing.ops.rotation import Rotation

_arrays: ContextVar[Any] = ContextVar("arrays")


@contextmanager
def reading(ops: Any) -> Iterator[None]:
    """Arrays are read by `ops` inside: an object with a method, or a module with a function, an op.

    Symbols are noted down as ever. Each op of `ops` is held to `reference.py` by its own tests.
    """
    before = _arrays.set(ops)
    try:
        yield
    finally:
        _arrays.reset(before)


def embedding(table: Any, tokens: Any) -> Any:
    """[T] token ids -> [T, D] rows of the table."""
    return _reading(tokens).embedding(table, tokens)


def rms_norm(x: Any, weight: Any, *, eps: float, heads: int = 1) -> Any:
    """[T, D] -> [T, D], each of `heads` equal parts normalised by itself; weight [D / heads].

    Zhang and Sennrich, 1910.07467; the weight multiplies the normalised value.
    """
    return _reading(x).rms_norm(x, weight, eps=eps, heads=heads)


def linear(x: Any, weight: Any, bias: Any = None, *, precise: bool = False) -> Any:
    """[T, K] -> [T, N] by a weight [N, K]. Precise: bf16 weights, and inputs not rounded at all.

    That is for routers and gates, whose small products decide a lot.
    """
    return _reading(x).linear(x, weight, bias, precise=precise)


def head_linear(x: Any, weight: Any) -> Any:
    """[T, h * K] -> [T, h * N] by a weight [h, N, K]: each head by a matrix of its own."""
    return _reading(x).head_linear(x, weight)


def logits(x: Any, weight: Any) -> Any:
    """[R, K] -> [R, V]: a linear whose input keeps 16 bits, where others keep 8.

    A third of what int8 inputs cost in divergence is lost in this one product.
    """
    return _reading(x).logits(x, weight)


def rope(x: Any, positions: Any, rotation: Rotation, *, heads: int) -> Any:
    """Rotary position embedding (Su et al., 2104.09864) of each head of [T, D]."""
    return _reading(x).rope(x, positions, rotation, heads=heads)


def attention(
    q: Any,
    k: Any,
    v: Any,
    step: Any,
    layer: Any,
    *,
    heads: int,
    kv_heads: int,
    scale: float,
    window: int = 0,
    sinks: Any = None,
) -> Any:
    """Writes k and v [T, kv_heads * d] into the layer's cache, then attends causally.

    q [T, heads * d] -> [T, heads * d]. With a window w, position p sees p-w+1 .. p; 0 sees all.
    sinks [heads]: a logit of each head that takes weight and gives nothing (gpt-oss).
    """
    return _reading(q).attention(
        q,
        k,
        v,
        step,
        layer,
        heads=heads,
        kv_heads=kv_heads,
        scale=scale,
        window=window,
        sinks=sinks,
    )


def latent_attention(
    q: Any, latent: Any, step: Any, layer: Any, *, heads: int, width: int, scale: float
) -> Any:
    """Multi-head latent attention, absorbed (DeepSeek-V2, 2405.04434): all heads see one key.

    Writes latent [T, w] into the layer's cache. It is the key of all heads, and its first `width`
    numbers are the value: q [T, heads * w] -> [T, heads * width].
    """
    return _reading(q).latent_attention(
        q, latent, step, layer, heads=heads, width=width, scale=scale
    )


def route(logits: Any, router: Router, correction: Any = None) -> Any:
    """[T, E] -> each token's top_k experts, in ascending order, and their weights.

    correction [E] is added to the scores for the choice alone. What comes out only `experts` reads.
    """
    return _reading(logits).route(logits, router, correction)


def experts(
    x: Any,
    routed: Any,
    bank: Bank,
    *,
    activation: Activation = SILU,
    shared: Bank | None = None,
    gate: Any = None,
) -> Any:
    """[T, H] -> [T, H]: the sum of each token's experts, by weight, in ascending order.

    Then the shared bank's own answer is added, times sigmoid(gate) where a gate [T, 1] is given.
    """
    return _reading(x).experts(x, routed, bank, activation=activation, shared=shared, gate=gate)


def silu_mul(gate: Any, up: Any) -> Any:
    """silu(gate) * up (SwiGLU; Shazeer, 2002.05202)."""
    return _reading(gate).silu_mul(gate, up)


def add(x: Any, y: Any) -> Any:
    return _reading(x).add(x, y)


def scale(x: Any, factor: float) -> Any:
    return _reading(x).scale(x, factor)


def part(x: Any, *, heads: int, begin: int, end: int) -> Any:
    """[T, heads * d] -> [T, heads * (end - begin)]: those columns of each head."""
    return _reading(x).part(x, heads=heads, begin=begin, end=end)


def join(x: Any, y: Any, *, heads: int) -> Any:
    """[T, heads * a], [T, heads * b] -> [T, heads * (a + b)]: side by side in each head."""
    return _reading(x).join(x, y, heads=heads)


def rows(x: Any, step: Any) -> Any:
    """[T, D] -> [R, D]: the tokens whose successors are wanted."""
    return _reading(x).rows(x, step)


def _reading(first: Any) -> Any:
    return record if isinstance(first, Symbol) else _arrays.get(reference)
