"""Losses of a head's logits, each with its gradient by hand: made chunk by chunk on the way out.

A loss of a chunk is a function of logits z [C, V], fp32: its sum over the chunk's tokens, and its
gradient. So no logits of more than a chunk exist, forward or back.

Shapes: C tokens of a chunk, T of a batch, V vocabulary, K kept tokens of a cached distribution.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from farthing.learn.cross_entropy import Logits

NUMBERS = 1 << 24
"""Logits that exist at once."""

Loss = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""(z, which tokens of the batch they are) -> (sum, gradient [C, V])."""


def over(logits: Logits, loss: Loss) -> Tensor:
    """The loss of all T tokens, to be differentiated by x and weight."""
    apply: Callable[..., Tensor] = _Over.apply
    return apply(logits.x, logits.weight, loss)


class _Over(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, loss: Loss) -> Tensor:
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        total = torch.zeros((), dtype=exact)
        grad_x, grad_weight = torch.empty_like(x), None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.zeros_like(weight, dtype=exact)
        chunk = max(1, NUMBERS // len(weight))
        for at in range(0, len(x), chunk):
            mine = slice(at, at + chunk)
            some, grad = loss((x[mine] @ weight.T).to(exact), mine)
            total += some
            grad = grad.to(x.dtype)
            torch.mm(grad, weight, out=grad_x[mine])
            if grad_weight is not None:
                grad_weight += grad.T @ x[mine]
        ctx.save_for_backward(grad_x, None if grad_weight is None else grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        grad_x, grad_weight = (
            None if one is None else one * grad.to(one.dtype) for one in ctx.saved_tensors
        )
        return grad_x, grad_weight, None


def text(logits: Logits, targets: Tensor, learned: Tensor) -> Tensor:
    """losses.Objective: cross-entropy by the products of what is learned alone, which of chats is
    little; a head that stays gets no gradient."""
    mine = learned.nonzero().squeeze(1)
    return over(Logits(logits.x[mine], logits.weight), said(targets[mine]))


def mixed(parts: Sequence[tuple[float, Loss]]) -> Loss:
    """The weighted sum of losses; those of weight 0 are not made."""
    made = [(weight, loss) for weight, loss in parts if weight]

    def loss(z: Tensor, mine: slice) -> tuple[Tensor, Tensor]:
        found = [(weight, *one(z, mine)) for weight, one in made]
        total = torch.stack([weight * some for weight, some, _ in found]).sum()
        weight, _, grad = found[0]
        grad = grad.mul_(weight)
        for weight, _, one in found[1:]:
            grad.add_(one, alpha=weight)
        return total, grad

    return loss


def said(targets: Tensor) -> Loss:
    """Cross-entropy with what the text says: targets [T]. Its gradient is q - one."""

    def loss(z: Tensor, mine: slice) -> tuple[Tensor, Tensor]:
        wanted, log_q = targets[mine, None], torch.log_softmax(z, -1)
        some = -log_q.gather(1, wanted).sum()
        grad = log_q.exp_()
        return some, grad.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=z.dtype))

    return loss


def forward(teacher: Callable[[slice], Tensor], temperature: float = 1.0) -> Loss:
    """t^2 KL(p | q) of p = softmax(teacher / t), q = softmax(z / t) (Hinton et al., 1503.02531).

    teacher: logits [C, V] of some tokens. The gradient is t (q - p).
    """
    t = temperature

    def loss(z: Tensor, mine: slice) -> tuple[Tensor, Tensor]:
        log_q, log_p = (torch.log_softmax(x / t, -1) for x in (z, teacher(mine).to(z.dtype)))
        p = log_p.exp()
        some = (p * (log_p - log_q)).sum()
        return t * t * some, (log_q.exp_() - p).mul_(t)

    return loss


def reverse(teacher: Callable[[slice], Tensor], temperature: float = 1.0) -> Loss:
    """t^2 KL(q | p) (MiniLLM, 2306.08543). The gradient is t q (log q - log p - KL)."""
    t = temperature

    def loss(z: Tensor, mine: slice) -> tuple[Tensor, Tensor]:
        log_q, log_p = (torch.log_softmax(x / t, -1) for x in (z, teacher(mine).to(z.dtype)))
        apart = log_q - log_p
        q = log_q.exp_()
        each = (q * apart).sum(-1, keepdim=True)
        return t * t * each.sum(), (apart - each).mul_(q).mul_(t)

    return loss


def kept(ids: Tensor, shares: Tensor, temperature: float = 1.0) -> Loss:
    """`forward` by a cached estimate of p: shares [T, K] of the tokens ids [T, K], which sum to 1.

    The same token may stand there twice. The loss is t^2 of the cross-entropy, which is KL and
    the teacher's own entropy: that is no part of the gradient t (q - p).
    """
    t = temperature

    def loss(z: Tensor, mine: slice) -> tuple[Tensor, Tensor]:
        log_q, share = torch.log_softmax(z / t, -1), shares[mine].to(z.dtype)
        some = -(share * log_q.gather(1, ids[mine])).sum()
        grad = log_q.exp_().mul_(share.sum(-1, keepdim=True))
        return t * t * some, grad.scatter_add_(1, ids[mine], -share).mul_(t)

    return loss
