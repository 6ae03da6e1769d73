"""Muon (Jordan et al., 2024) as Moonlight scales it (2502.16982): for hidden matrices.

The momentum's singular values are pushed towards one by five steps of a polynomial, so that an
update moves all directions alike. Stacks of experts are so many matrices.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

A, B, C = 3.4445, -4.775, 2.0315
STEPS = 5
RMS = 0.2
"""Of an update's entries, as AdamW's are; both then share a rate and a decay."""


def orthogonal(matrix: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """[..., n, m] with singular values near one (within 0.7 to 1.2), by Newton and Schulz."""
    x = matrix.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).to(dtype)
    # sums within the products: rounded once, and not read again
    summed = torch.addmm if x.ndim == 2 else torch.baddbmm
    for _ in range(STEPS):
        square = x @ x.mT
        x = summed(x, summed(square, square, square, beta=B, alpha=C), x, beta=A)
    out: Tensor = (x.mT if tall else x).to(matrix.dtype)
    return out


class Muon(torch.optim.Optimizer):
    """Of parameters with two or more dimensions, the last two a matrix. Decay is decoupled."""

    def __init__(
        self,
        parameters: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.95,
        decay: float = 0.1,
        direction: Callable[[Tensor], Tensor] = orthogonal,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay})
        self.direction = direction

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                kept = state["momentum"]
                kept.mul_(group["momentum"]).add_(p.grad)
                ahead = p.grad + group["momentum"] * kept  # Nesterov
                size = RMS * max(p.shape[-2:]) ** 0.5
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(self.direction(ahead), alpha=-group["lr"] * size)
