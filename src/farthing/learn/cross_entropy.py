"""Cross-entropy of a head's logits, whose gradients are made on the way out: no logits are kept.

Shapes: T tokens, D width, V vocabulary, n tokens of a chunk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from farthing.learn.native import add, bf16, fp32, instructions
from farthing.ops import training

CHUNK = 512
"""Tokens whose logits exist at once."""


@dataclass(frozen=True, slots=True)
class Logits:
    """x [T, D] by weight [V, D], not multiplied yet."""

    x: Tensor
    weight: Tensor

    def of(self, rows: slice) -> Tensor:
        """[rows, V] in the product's dtype; it may be differentiated."""
        return self.x[rows] @ self.weight.T


def cross_entropy(logits: Logits, targets: Tensor, learned: Tensor) -> Tensor:
    """Sum over learned of -log p(target), fp32. targets, learned [T].

    Logits are rounded to the dtype of x. Where native kernels run, what follows is in fp32 of
    these; else probabilities are rounded so too, and their logarithms taken in fp32.
    """
    apply: Callable[..., Tensor] = _CrossEntropy.apply
    return apply(logits.x, logits.weight, targets, learned)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, learned: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight, dtype=total.dtype)
        counts = learned.to(total.dtype)
        room, part = x.new_empty(min(CHUNK, len(x)), len(weight)), torch.empty_like(weight)
        for at in range(0, len(x), CHUNK):
            mine = slice(at, at + CHUNK)
            logits = torch.mm(x[mine], weight.T, out=room[: len(x[mine])])
            total += (slopes(logits, targets[mine], counts[mine]) * counts[mine]).sum()
            torch.mm(logits, weight, out=grad_x[mine])
            add(grad_weight, torch.mm(logits.T, x[mine], out=part))
        ctx.save_for_backward(grad_x, grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        grad_x, grad_weight = ctx.saved_tensors
        return grad_x * grad.to(grad_x.dtype), grad_weight * grad.to(grad_weight.dtype), None, None


def slopes(logits: Tensor, targets: Tensor, learned: Tensor) -> Tensor:
    """-log p(target) [n] of logits [n, V], which become its gradients times learned [n]."""
    isa = instructions(logits)
    if isa is None:
        return _composed(logits, targets, learned)
    losses = torch.empty_like(learned)
    training.cross_entropy(
        isa,
        bf16(logits),
        targets.contiguous().numpy(),
        fp32(learned),
        fp32(losses),
        torch.get_num_threads(),
    )
    return losses


def _composed(logits: Tensor, targets: Tensor, learned: Tensor) -> Tensor:
    p, wanted = torch.softmax(logits, -1), targets[:, None]
    # far below what a sum of tokens could notice, and never the logarithm of zero
    least = torch.finfo(logits.dtype).tiny
    hit = p.gather(1, wanted)
    torch.mul(p.scatter_(1, wanted, hit - 1), learned[:, None].to(p.dtype), out=logits)
    return -hit.squeeze(1).to(learned.dtype).clamp_min(least).log()
