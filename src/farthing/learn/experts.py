"""A mixture's products, grouped by expert, forward and back; no token is ever dropped.

Pairs of a token and an expert are sorted by expert, so that each expert's matrices meet all of its
tokens in one product.

Shapes: T tokens, k experts a token, P = T * k pairs, E experts, H model width, I inner width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def mixed(
    x: Tensor, ids: Tensor, weights: Tensor, gate: Tensor, up: Tensor, down: Tensor
) -> Tensor:
    """[T, H]: sum over k of weights * down(silu(gate x) * up x).

    ids [T, k], weights [T, k] fp32; gate, up [E, I, H], down [E, H, I] in x's dtype.
    """
    apply: Callable[..., Tensor] = _Mixed.apply
    return apply(x, ids, weights, gate, up, down)


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, ids: Tensor, weights: Tensor, gate: Tensor, up: Tensor, down: Tensor
    ) -> Tensor:
        tokens, top_k = ids.shape
        flat = ids.reshape(-1)
        order = flat.argsort(stable=True)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        ends = torch.bincount(flat, minlength=len(gate)).cumsum(0).tolist()
        source = order // top_k
        inputs = x[source]
        both = torch.cat([gate, up], 1)
        middle = _by_expert(inputs, both, ends, turned=True)
        g, u = middle.chunk(2, 1)
        active = F.silu(g) * u
        by_pair = weights.reshape(-1)[order].to(x.dtype)[:, None]
        out = _by_expert(active * by_pair, down, ends, turned=True)
        ctx.save_for_backward(inputs, middle, by_pair, both, down, source, back)
        ctx.ends, ctx.shape = ends, (tokens, top_k)
        return out[back].view(tokens, top_k, -1).sum(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, middle, by_pair, both, down, source, back = ctx.saved_tensors
        ends, (tokens, top_k) = ctx.ends, ctx.shape
        g, u = middle.chunk(2, 1)
        share = torch.sigmoid(g)
        silu = g * share
        active = silu * u
        grad_out = grad[source]
        grad_weighted = _by_expert(grad_out, down, ends, turned=False)
        grad_down = _outer(grad_out, active * by_pair, ends)
        grad_by_pair = (grad_weighted * active).sum(-1, dtype=torch.float32)
        grad_active = grad_weighted * by_pair
        grad_middle = torch.cat(
            [grad_active * u * (share + silu * (1 - share)), grad_active * silu], 1
        )
        grad_both = _outer(grad_middle, inputs, ends)
        grad_inputs = _by_expert(grad_middle, both, ends, turned=False)
        grad_x = grad_inputs[back].view(tokens, top_k, -1).sum(1)
        grad_gate, grad_up = grad_both.chunk(2, 1)
        grad_weights = grad_by_pair[back].view(tokens, top_k)
        return grad_x, None, grad_weights, grad_gate, grad_up, grad_down


def _by_expert(x: Tensor, matrices: Tensor, ends: list[int], *, turned: bool) -> Tensor:
    """[P, K] by expert's matrix, [E, N, K] if turned, else [E, K, N]: [P, N]."""
    out = x.new_empty(len(x), matrices.shape[1 if turned else 2])
    start = 0
    for matrix, stop in zip(matrices, ends, strict=True):
        if stop > start:
            torch.mm(x[start:stop], matrix.T if turned else matrix, out=out[start:stop])
        start = stop
    return out


def _outer(left: Tensor, right: Tensor, ends: list[int]) -> Tensor:
    """[P, N], [P, K] -> [E, N, K]: each expert's sum of outer products."""
    out = left.new_zeros(len(ends), left.shape[1], right.shape[1])
    start = 0
    for into, stop in zip(out, ends, strict=True):
        if stop > start:
            torch.mm(left[start:stop].T, right[start:stop], out=into)
        start = stop
    return out
