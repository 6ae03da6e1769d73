"""Attention of bf16 in one native call each way: scores are never in memory, weights made twice."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.engine.isa import choose_isa
from farthing.ops.training_attention import ISA, WIDEST, Attention


def fits(q: Tensor, v: Tensor, *, heads: int, kv_heads: int) -> bool:
    """Whether there is a native call for such tensors here. Shapes: as `spans.attend`."""
    if any(x.dtype != torch.bfloat16 or x.device.type != "cpu" for x in (q, v)):
        return False
    widths = q.shape[1] // heads, v.shape[1] // kv_heads
    return all(w % 8 == 0 and w <= WIDEST for w in widths) and choose_isa() == ISA


class Fused(torch.autograd.Function):
    """apply(q, k, v, Attention), for what `fits`."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, attention: Attention) -> Tensor:
        q, k, v = _side_by_side(q), _side_by_side(k), _side_by_side(v)
        tokens, heads = len(q), attention.heads
        out = q.new_empty(tokens, heads * (v.shape[1] // attention.kv_heads))
        stats = torch.empty(heads, 2, tokens)
        attention.forward(_bits(q), _bits(k), _bits(v), _bits(out), stats.numpy())
        ctx.save_for_backward(q, k, v, out, stats)
        ctx.attention = attention
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        q, k, v, out, stats = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in (q, k, v)]
        inputs, outputs = (_bits(q), _bits(k), _bits(v)), (_bits(out), stats.numpy())
        attention: Attention = ctx.attention
        into = _bits(grads[0]), _bits(grads[1]), _bits(grads[2])
        attention.backward(inputs, outputs, _bits(_side_by_side(grad)), into)
        return *grads, None


def _side_by_side(x: Tensor) -> Tensor:
    """Itself if only rows lie apart."""
    return x if x.stride(1) == 1 and x.stride(0) >= x.shape[1] else x.contiguous()


def _bits(x: Tensor) -> NDArray[np.int16]:
    """The same memory."""
    bits: NDArray[np.int16] = x.detach().view(torch.int16).numpy()
    return bits
