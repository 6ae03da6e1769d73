"""Experts spread over processes: tokens travel to them and their answers come back.

Each process keeps a part of every stack of experts (Lepikhin et al., 2006.16668). A pair of a token
and an expert goes to the process that has the expert, all of a layer's pairs at once; whatever the
load, none is dropped.

Shapes: T tokens, k experts a token, P = T * k pairs, N pairs that arrive, H width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from farthing.learn.fast import Fast
from farthing.ops.mixture import SILU, Activation, Bank
from farthing.ops.reference_mixture import Routed


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Of a stack [count, N, K], the matrices of this process: as many as each of the others has."""

    mine: Tensor
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.mine.shape[1:])


class Spread(Fast):
    """The ops of a pass whose stacks of experts are Parts."""

    def experts(
        self,
        x: Tensor,
        routed: Routed,
        bank: Bank,
        *,
        activation: Activation = SILU,
        shared: Bank | None = None,
        gate: Tensor | None = None,
    ) -> Tensor:
        tokens, top_k = routed.ids.shape
        flat = routed.ids.flatten()
        order = flat.argsort(stable=True)
        own = len(bank.gate.mine)
        trip = Trip.of(flat // own)
        ids = trip.there(flat[order]) - own * dist.get_rank()
        rows = trip.there(x.index_select(0, order // top_k))
        # one of zeros beside them: an expert without tokens has a gradient too
        ids, rows = (torch.cat([part, part.new_zeros(1, *part.shape[1:])]) for part in (ids, rows))
        ones = torch.ones(len(ids), 1, device=x.device)
        part = replace(bank, gate=bank.gate.mine, up=bank.up.mine, down=bank.down.mine)
        answers = super().experts(rows, Routed(ids[:, None], ones), part, activation=activation)
        back = trip.back(answers[:-1]).index_select(0, order.argsort())
        weights = routed.weights.to(x.dtype)
        out: Tensor = (back.view(tokens, top_k, -1) * weights[:, :, None]).sum(1)
        if shared is None:
            return out
        answer = self.silu_mul(self.linear(x, shared.gate), self.linear(x, shared.up))
        answer = self.linear(answer, shared.down)
        return self.add(out, answer if gate is None else gate.sigmoid().to(x.dtype) * answer)


@dataclass(frozen=True, slots=True)
class Trip:
    """How many pairs go to each process, and how many come from each."""

    sent: list[int]
    got: list[int]

    @classmethod
    def of(cls, owners: Tensor) -> "Trip":
        """owners [P]: which process each pair goes to."""
        sent = torch.bincount(owners, minlength=dist.get_world_size())
        got = torch.empty_like(sent)
        dist.all_to_all_single(got, sent)
        return cls(sent.tolist(), got.tolist())

    def there(self, x: Tensor) -> Tensor:
        """[P, ...] in the order of processes -> [N, ...]"""
        apply: Callable[..., Tensor] = _Exchanged.apply
        return apply(x, self.sent, self.got)

    def back(self, x: Tensor) -> Tensor:
        """[N, ...] -> [P, ...]"""
        apply: Callable[..., Tensor] = _Exchanged.apply
        return apply(x, self.got, self.sent)


class _Exchanged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sent: list[int], got: list[int]) -> Tensor:
        ctx.trip = sent, got
        return _exchanged(x, sent, got)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        sent, got = ctx.trip
        return _exchanged(grad, got, sent), None, None


def _exchanged(x: Tensor, sent: list[int], got: list[int]) -> Tensor:
    out = x.new_empty(sum(got), *x.shape[1:])
    dist.all_to_all_single(out, x.contiguous(), got, sent)
    return out
