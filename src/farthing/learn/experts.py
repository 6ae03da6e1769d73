"""A mixture's products, grouped by expert, forward and back; no token is ever dropped.

Pairs of a token and an expert are sorted by expert, so that each expert's matrices meet all of its
tokens in one product. Each group is filled up to a multiple of FILL pairs of no weight: the library
beneath compiles a product for every shape it has not seen.

Shapes: T tokens, k experts a token, P pairs with the filling, E experts, H model width, I inner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farthing.learn.gating import gated, gated_back

FILL = 64


def mixed(
    x: Tensor, ids: Tensor, weights: Tensor, gate: Tensor, up: Tensor, down: Tensor
) -> Tensor:
    """[T, H]: sum over k of weights * down(silu(gate x) * up x).

    ids [T, k], weights [T, k] fp32; gate, up [E, I, H], down [E, H, I] in x's dtype.
    """
    apply: Callable[..., Tensor] = _Mixed.apply
    return apply(x, ids, weights, gate, up, down)


@dataclass(frozen=True, slots=True)
class Groups:
    """source [P]: each pair's token; place [T, k]: where a token's pairs are; ends [E] of groups.

    flat [P]: each pair's place in weights [T * k]; the filling has that of no pair: T * k.
    """

    source: Tensor
    place: Tensor
    flat: Tensor
    ends: list[int]

    @classmethod
    def of(cls, ids: Tensor, experts: int) -> "Groups":
        tokens, top_k = ids.shape
        flat = ids.reshape(-1)
        load = torch.bincount(flat, minlength=experts)
        rooms = (load + FILL - 1) // FILL * FILL
        ends = rooms.cumsum(0)
        order = flat.argsort(stable=True)
        # a pair's place: its group's begin, and how many of the group come before
        by_expert = flat[order]
        inside = torch.arange(len(flat), device=flat.device) - (load.cumsum(0) - load)[by_expert]
        places = (ends - rooms)[by_expert] + inside
        pairs = torch.full((int(ends[-1]),), tokens * top_k, device=flat.device)
        pairs[places] = order
        place = torch.empty_like(flat)
        place[order] = places
        source = torch.where(pairs < tokens * top_k, pairs // top_k, 0)
        return cls(source, place.view(tokens, top_k), pairs, ends.tolist())

    def weighed(self, weights: Tensor) -> Tensor:
        """[T, k] -> [P]; of the filling zero."""
        padded = torch.cat([weights.reshape(-1), weights.new_zeros(1)])
        return padded.index_select(0, self.flat)

    def gathered(self, pairs: Tensor) -> Tensor:
        """[P, H] -> [T, H]: each token's pairs added up, in fp32 where they are bf16."""
        return F.embedding_bag(self.place, pairs, mode="sum")


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, ids: Tensor, weights: Tensor, gate: Tensor, up: Tensor, down: Tensor
    ) -> Tensor:
        groups = Groups.of(ids, len(gate))
        inputs = x.index_select(0, groups.source)
        g = _by_expert(inputs, gate.mT, groups.ends)
        u = _by_expert(inputs, up.mT, groups.ends)
        by_pair = groups.weighed(weights)
        weighted = gated(g, u, by_pair)
        out = _by_expert(weighted, down.mT, groups.ends)
        ctx.save_for_backward(inputs, g, u, by_pair, weighted, gate, up, down)
        ctx.groups = groups
        return groups.gathered(out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, g, u, by_pair, weighted, gate, up, down = ctx.saved_tensors
        groups: Groups = ctx.groups
        grad_out = grad.index_select(0, groups.source)
        grad_down = _outer(grad_out, weighted, groups.ends)
        grad_weighted = _by_expert(grad_out, down, groups.ends)
        grad_by_pair = torch.empty_like(by_pair)
        grad_g, grad_u = gated_back(grad_weighted, g, u, (by_pair, grad_by_pair))
        grad_weights = grad_by_pair.index_select(0, groups.place.flatten())
        grad_gate = _outer(grad_g, inputs, groups.ends)
        grad_up = _outer(grad_u, inputs, groups.ends)
        grad_inputs = _by_expert(grad_g, gate, groups.ends)
        _by_expert(grad_u, up, groups.ends, into=grad_inputs)
        grad_x = groups.gathered(grad_inputs)
        return grad_x, None, grad_weights.view(groups.place.shape), grad_gate, grad_up, grad_down


def _by_expert(
    x: Tensor, matrices: Tensor, ends: list[int], *, into: Tensor | None = None
) -> Tensor:
    """[P, K] by its expert's of [E, K, N]: [P, N], added to `into` where it is given."""
    out = x.new_empty(len(x), matrices.shape[2]) if into is None else into
    start = 0
    for matrix, stop in zip(matrices.unbind(), ends, strict=True):
        if stop > start:
            mine = out[start:stop]
            if into is None:
                torch.mm(x[start:stop], matrix, out=mine)
            else:
                mine.addmm_(x[start:stop], matrix)
        start = stop
    return out


def _outer(left: Tensor, right: Tensor, ends: list[int]) -> Tensor:
    """[P, N], [P, K] -> [E, N, K]: each expert's sum of outer products."""
    out = left.new_empty(len(ends), left.shape[1], right.shape[1])
    start = 0
    for result, stop in zip(out.unbind(), ends, strict=True):
        if stop > start:
            torch.mm(left[start:stop].T, right[start:stop], out=result)
        else:
            result.zero_()
        start = stop
    return out
