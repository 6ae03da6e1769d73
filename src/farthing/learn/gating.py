"""What lies between a gated MLP's products, forward and back, each in one pass over memory.

Shapes: n rows, d width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farthing.learn.native import bf16, fp32, instructions
from farthing.ops import training

Slopes = tuple[Tensor, Tensor]
"""What rows are multiplied by [n], and where its gradient goes. fp32, of bf16 rows too."""


def silu_mul(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up"""
    if instructions(gate, up) is None:
        return F.silu(gate) * up
    apply: Callable[..., Tensor] = _SiluMul.apply
    return apply(gate, up)


def gated(gate: Tensor, up: Tensor, by_row: Tensor | None) -> Tensor:
    """silu(gate) * up * by_row[:, None], not differentiated. by_row is as in Slopes."""
    isa = instructions(gate, up)
    if isa is None:
        out = F.silu(gate).mul_(up)
        return out if by_row is None else out.mul_(by_row[:, None].to(out.dtype))
    out = torch.empty_like(gate)
    factors = None if by_row is None else fp32(by_row)
    training.gated(isa, bf16(gate), bf16(up), factors, bf16(out), torch.get_num_threads())
    return out


def gated_back(grad: Tensor, gate: Tensor, up: Tensor, rows: Slopes | None) -> tuple[Tensor, ...]:
    """Gradients of `gated` by gate and up; that by `by_row` is written where it goes."""
    isa = instructions(grad, gate, up)
    if isa is None:
        return _composed_back(grad, gate, up, rows)
    grad_gate, grad_up = torch.empty_like(gate), torch.empty_like(up)
    by_row, grad_by_row = (None, None) if rows is None else (fp32(rows[0]), fp32(rows[1]))
    training.gated_back(
        isa,
        bf16(grad),
        (bf16(gate), bf16(up), by_row),
        (bf16(grad_gate), bf16(grad_up), grad_by_row),
        torch.get_num_threads(),
    )
    return grad_gate, grad_up


def _composed_back(
    grad: Tensor, gate: Tensor, up: Tensor, rows: Slopes | None
) -> tuple[Tensor, ...]:
    silu = F.silu(gate)
    if rows is not None:
        by_row, grad_by_row = rows
        torch.sum((grad * silu).mul_(up), -1, dtype=by_row.dtype, out=grad_by_row)
        grad = grad * by_row[:, None].to(grad.dtype)
    grad_up = silu.mul_(grad)
    return torch.ops.aten.silu_backward(grad * up, gate), grad_up


class _SiluMul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up)
        return gated(gate, up, None)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        gate, up = ctx.saved_tensors
        return gated_back(grad.contiguous(), gate, up, None)
