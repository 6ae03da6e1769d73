"""Cross-entropy of a head's logits, whose gradients are made on the way out: no logits are kept.

Shapes: T tokens, D width, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

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

    Probabilities are rounded to the dtype of x, their logarithms taken in fp32.
    """
    apply: Callable[..., Tensor] = _CrossEntropy.apply
    return apply(logits.x, logits.weight, targets, learned)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, learned: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight, dtype=total.dtype)
        for at in range(0, len(x), CHUNK):
            mine = slice(at, at + CHUNK)
            wanted, counts = targets[mine, None], learned[mine, None].to(x.dtype)
            p = torch.softmax(x[mine] @ weight.T, -1)
            # far below what a sum of tokens could notice, and never the logarithm of zero
            least = torch.finfo(x.dtype).tiny
            hit = p.gather(1, wanted)
            total -= (hit.to(total.dtype).clamp_min(least).log() * counts).sum()
            p.scatter_(1, wanted, hit - 1).mul_(counts)
            torch.mm(p, weight, out=grad_x[mine])
            grad_weight += p.T @ x[mine]
        ctx.save_for_backward(grad_x, grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        grad_x, grad_weight = ctx.saved_tensors
        return grad_x * grad.to(grad_x.dtype), grad_weight * grad.to(grad_weight.dtype), None, None
