"""The ops a model page is written with. One text, several readings.

Given arrays (NumPy, or any array API such as torch), an op computes: `reference.py`, slow, obvious
and the judge. Given symbols, it notes itself down: `record.py`, replayed by the native side.

Shapes: T tokens of a step, R rows whose logits are wanted, D any width. Heads lie side by side.
"""

from typing import Any

from farthing.ops import record, reference
from farthing.ops.record import Symbol
from farthing.ops.rotation import Rotation


def embedding(table: Any, tokens: Any) -> Any:
    """[T] token ids -> [T, D] rows of the table."""
    return _reading(tokens).embedding(table, tokens)


def rms_norm(x: Any, weight: Any, *, eps: float, heads: int = 1) -> Any:
    """[T, D] -> [T, D], each of `heads` equal parts normalised by itself; weight [D / heads].

    Zhang and Sennrich, 1910.07467; the weight multiplies the normalised value.
    """
    return _reading(x).rms_norm(x, weight, eps=eps, heads=heads)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """[T, K] -> [T, N] by a weight [N, K]."""
    return _reading(x).linear(x, weight, bias)


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
) -> Any:
    """Writes k and v [T, kv_heads * d] into the layer's cache, then attends causally.

    q [T, heads * d] -> [T, heads * d]. With a window w, position p sees p-w+1 .. p; 0 sees all.
    """
    return _reading(q).attention(
        q, k, v, step, layer, heads=heads, kv_heads=kv_heads, scale=scale, window=window
    )


def silu_mul(gate: Any, up: Any) -> Any:
    """silu(gate) * up (SwiGLU; Shazeer, 2002.05202)."""
    return _reading(gate).silu_mul(gate, up)


def add(x: Any, y: Any) -> Any:
    return _reading(x).add(x, y)


def rows(x: Any, step: Any) -> Any:
    """[T, D] -> [R, D]: the tokens whose successors are wanted."""
    return _reading(x).rows(x, step)


def _reading(first: Any) -> Any:
    return record if isinstance(first, Symbol) else reference
