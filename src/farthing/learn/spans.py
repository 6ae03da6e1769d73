"""Where documents lie in rows, and attention within each: no work is done between documents.

Documents of like length are put side by side as [n, length] blocks, short ones filled up, and met
by plain batched products: scores of one block fit the caches, and their softmax is one pass.

Shapes: T tokens of all rows, n documents of a block, L its length, h heads, g of them to each key
head, d key width, c value width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor

from farthing.learn.batches import Batch

LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Of blocks; beyond, multiples of the last."""


@dataclass(frozen=True, slots=True)
class Block:
    """places [n, L]: rows of a [T, ...] tensor; real [n, L]: no filling."""

    places: Tensor
    real: Tensor

    def take(self, x: Tensor, heads: int) -> Tensor:
        """[T, heads * d] -> [n * heads, L, d]"""
        n, length = self.places.shape
        by_head = self.places[:, None] * heads + torch.arange(heads, device=x.device)[:, None]
        return (
            x.view(x.shape[0] * heads, -1)
            .index_select(0, by_head.flatten())
            .view(n * heads, length, -1)
        )


@dataclass(frozen=True, slots=True)
class Spans:
    """A batch's documents, by blocks; found [T]: where each token lies in all blocks end to end."""

    blocks: tuple[Block, ...]
    found: Tensor

    @classmethod
    def of(cls, batch: Batch) -> "Spans":
        starts = torch.nonzero(batch.positions.flatten() == 0).flatten()
        ends = torch.cat([starts[1:], torch.tensor([batch.tokens.numel()])])
        lengths = ends - starts
        rooms = [_room(n) for n in lengths.tolist()]
        size = torch.tensor(rooms)
        blocks = []
        for length in sorted(set(rooms)):
            mine = size == length
            inside = torch.arange(length)
            real = inside < lengths[mine][:, None]
            places = torch.where(real, starts[mine][:, None] + inside, starts[mine][:, None])
            blocks.append(Block(places, real))
        real = torch.cat([block.real.flatten() for block in blocks])
        places = torch.cat([block.places.flatten() for block in blocks])
        found = torch.empty(batch.tokens.numel(), dtype=torch.int64)
        found[places[real]] = torch.nonzero(real).flatten()
        return cls(tuple(blocks), found)

    def back(self, parts: list[Tensor], heads: int) -> Tensor:
        """The inverse of every block's `take`: [n * heads, L, d] each -> [T, heads * d]."""
        lines, begin = [], 0
        at = self.found.new_empty(len(self.found), heads)
        head = torch.arange(heads, device=self.found.device)
        for block, part in zip(self.blocks, parts, strict=True):
            n, length = block.places.shape
            mine = (self.found >= begin) & (self.found < begin + n * length)
            local = self.found[mine] - begin
            row = local // length * heads * length + local % length
            at[mine] = begin * heads + row[:, None] + head * length
            begin += n * length
            lines.append(part.reshape(n * heads * length, -1))
        return torch.cat(lines).index_select(0, at.flatten()).view(len(self.found), -1)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    spans: Spans,
    *,
    heads: int,
    kv_heads: int,
    scale: float,
    window: int = 0,
) -> Tensor:
    """q [T, heads * d], k [T, kv_heads * d], v [T, kv_heads * c] -> [T, heads * c], causal."""
    apply: Callable[..., Tensor] = _Attended.apply
    return apply(q, k, v, spans, heads, kv_heads, scale, window)


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        spans: Spans,
        heads: int,
        kv_heads: int,
        scale: float,
        window: int,
    ) -> Tensor:
        outs, kept = [], []
        for block in spans.blocks:
            qs, ks, vs = _taken(block, q, k, v, heads, kv_heads)
            seen = _unseen(block, heads // kv_heads, window, q)
            weights = torch.softmax(torch.baddbmm(seen, qs, ks.mT, alpha=scale), -1)
            outs.append(torch.bmm(weights, vs))
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.rest = spans, heads, kv_heads, scale
        return spans.back(_heads(outs, spans, heads), heads)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        q, k, v, *kept = ctx.saved_tensors
        spans, heads, kv_heads, scale = ctx.rest
        grads_q, grads_k, grads_v = [], [], []
        for block, weights in zip(spans.blocks, kept, strict=True):
            qs, ks, vs = _taken(block, q, k, v, heads, kv_heads)
            n, length = block.places.shape
            # the filling's gradients would reach keys that it sees
            out = block.take(grad, heads).view(n, heads, length, -1)
            out = out.masked_fill_(~block.real[:, None, :, None], 0).view(
                n * kv_heads, -1, out.shape[-1]
            )
            grad_weights = torch.bmm(out, vs.mT)
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            grads_v.append(torch.bmm(weights.mT, out))
            grads_q.append(torch.bmm(grad_scores, ks).mul_(scale))
            grads_k.append(torch.bmm(grad_scores.mT, qs).mul_(scale))
        grad_q = spans.back(_heads(grads_q, spans, heads), heads)
        grad_k, grad_v = spans.back(grads_k, kv_heads), spans.back(grads_v, kv_heads)
        return grad_q, grad_k, grad_v, None, None, None, None, None


def _taken(
    block: Block, q: Tensor, k: Tensor, v: Tensor, heads: int, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """[n * kv_heads, g * L, d], [n * kv_heads, L, d], [n * kv_heads, L, c]"""
    n, length = block.places.shape
    queries = block.take(q, heads).view(n * kv_heads, heads // kv_heads * length, -1)
    return queries, block.take(k, kv_heads), block.take(v, kv_heads)


def _heads(parts: list[Tensor], spans: Spans, heads: int) -> list[Tensor]:
    """[n * kv_heads, g * L, d] each -> [n * heads, L, d]"""
    return [
        part.view(len(block.places) * heads, block.places.shape[1], -1)
        for block, part in zip(spans.blocks, parts, strict=True)
    ]


def _unseen(block: Block, group: int, window: int, like: Tensor) -> Tensor:
    """[g * L, L]: -inf where a query does not see a key, else 0."""
    length = block.places.shape[1]
    place = torch.arange(length)
    hidden = place[None, :] > place[:, None]
    if window:
        hidden |= place[None, :] <= place[:, None] - window
    mask = torch.zeros(length, length, dtype=like.dtype).masked_fill_(hidden, -inf)
    return mask.repeat(group, 1).to(like.device)


def _room(length: int) -> int:
    for room in LENGTHS:
        if length <= room:
            return room
    return -(-length // LENGTHS[-1]) * LENGTHS[-1]
