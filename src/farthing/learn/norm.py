"""RMS normalisation with a gradient of its own: half the passes over memory of the composed one.

Shapes: T tokens, h heads, d width of a head.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from farthing.learn.native import bf16, fp32, instructions
from farthing.ops import training


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x [T, h, d], weight [d]: each head divided by its root mean square, times weight."""
    form = _Composed if weight.dtype != torch.float32 or instructions(x) is None else _Native
    apply: Callable[..., Tensor] = form.apply
    return apply(x, weight, eps)


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        ctx.isa, x = instructions(x), x.contiguous()
        out, inverse = torch.empty_like(x), x.new_empty(x.shape[:-1], dtype=torch.float32)
        training.norm(
            ctx.isa,
            bf16(x),
            fp32(weight.clone()),
            eps,
            bf16(out),
            fp32(inverse.view(-1)),
            torch.get_num_threads(),
        )
        ctx.save_for_backward(x, weight, inverse)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight, inverse = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(x), torch.empty_like(weight)
        training.norm_back(
            ctx.isa,
            bf16(grad.contiguous()),
            bf16(x),
            fp32(inverse.view(-1)),
            fp32(weight.clone()),
            bf16(grad_x),
            fp32(grad_weight),
            torch.get_num_threads(),
        )
        return grad_x, grad_weight, None


class _Composed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=weight.dtype)
        inverse = (norm * norm / x.shape[-1] + eps).rsqrt()
        ctx.save_for_backward(x, weight, inverse)
        out: Tensor = (x * inverse).mul_(weight).to(x.dtype)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight, inverse = ctx.saved_tensors
        unit = x * inverse
        grad_unit = grad * weight
        along = (grad_unit * unit).mean(-1, keepdim=True)
        grad_weight = (grad * unit).sum((0, 1))
        grad_x = grad_unit.sub_(unit.mul_(along)).mul_(inverse)
        return grad_x.to(x.dtype), grad_weight, None
