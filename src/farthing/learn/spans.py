"""Where documents lie in rows, and attention within each: no work is done between documents.

Documents of like length are put side by side as [n, length] blocks, short ones filled up, and met
by plain batched products: scores of one block fit the caches, their softmax is one pass. Queries
of long ones go piece by piece, each with the keys up to its own end, so that what causal attention
hides is hardly ever made. So every dtype goes; bf16 has something better where fused_attention.py
can run.

Shapes: T tokens of all rows, n documents of a block, L its length, C that of a piece, h heads, g of
them to each key head, d key width, c value width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.learn.batches import Batch
from farthing.learn.fused_attention import Fused, fits
from farthing.ops.training_attention import Attention

LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Of blocks; beyond, multiples of the last."""
PIECE = 64
"""Positions of queries that go together."""


@dataclass(frozen=True, slots=True)
class Block:
    """places [n, L]: rows of a [T, ...] tensor; real [n, L]: no filling."""

    places: Tensor
    real: Tensor

    def take(self, x: Tensor, heads: int) -> Tensor:
        """[T, heads * d] -> [n * heads, L, d]"""
        n, length = self.places.shape
        by_head = self.places[:, None] * heads + torch.arange(heads, device=x.device)[:, None]
        taken = x.view(x.shape[0] * heads, -1).index_select(0, by_head.flatten())
        return taken.view(n * heads, length, -1)

    def part(self, begin: int, end: int) -> "Block":
        return Block(self.places[:, begin:end], self.real[:, begin:end])


@dataclass(frozen=True, slots=True)
class Layout:
    """All tokens in blocks; found [T]: where each lies in all of them end to end."""

    blocks: tuple[Block, ...]
    found: Tensor
    _rows: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, blocks: Sequence[Block], tokens: int) -> "Layout":
        real = torch.cat([block.real.flatten() for block in blocks])
        places = torch.cat([block.places.flatten() for block in blocks])
        found = torch.empty(tokens, dtype=torch.int64, device=real.device)
        found[places[real]] = torch.nonzero(real).flatten()
        return cls(tuple(blocks), found)

    def back(self, parts: Sequence[Tensor], heads: int) -> Tensor:
        """The inverse of every block's `take`: [n * heads, L, d] each -> [T, heads * d]."""
        width = parts[0].shape[-1]
        lines = torch.cat([part.reshape(-1, width) for part in parts])
        return lines.index_select(0, self.rows(heads)).view(len(self.found), -1)

    def rows(self, heads: int) -> Tensor:
        """[T * heads]: where each head of each token lies in all that the blocks have taken."""
        if heads not in self._rows:
            head, begin = torch.arange(heads, device=self.found.device), 0
            at = torch.empty(len(self.found), heads, dtype=torch.int64, device=self.found.device)
            for block in self.blocks:
                n, length = block.places.shape
                mine = (self.found >= begin) & (self.found < begin + n * length)
                local = self.found[mine] - begin
                row = local // length * heads * length + local % length
                at[mine] = begin * heads + row[:, None] + head * length
                begin += n * length
            self._rows[heads] = at.flatten()
        return self._rows[heads]


@dataclass(frozen=True, slots=True)
class Blocks:
    """All documents as blocks. pieces[i] of queries.blocks[i]: its keys' block, first position."""

    keys: Layout
    queries: Layout
    pieces: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, bounds: Tensor) -> "Blocks":
        """bounds [documents + 1]: where each document begins, and the last one ends."""
        starts, lengths = bounds[:-1], bounds.diff()
        rooms = [_room(n) for n in lengths.tolist()]
        size = torch.tensor(rooms, device=bounds.device)
        blocks = []
        for length in sorted(set(rooms)):
            mine = size == length
            inside = torch.arange(length, device=bounds.device)
            real = inside < lengths[mine][:, None]
            places = torch.where(real, starts[mine][:, None] + inside, starts[mine][:, None])
            blocks.append(Block(places, real))
        pieces = [
            (i, begin)
            for i, block in enumerate(blocks)
            for begin in range(0, block.places.shape[1], PIECE)
        ]
        parts = [blocks[i].part(begin, begin + PIECE) for i, begin in pieces]
        tokens = int(bounds[-1])
        return cls(Layout.of(blocks, tokens), Layout.of(parts, tokens), tuple(pieces))


@dataclass(frozen=True)
class Spans:
    """A batch's documents, for the native call and for torch's products."""

    begins: Tensor
    """[documents + 1]: where each begins, and the last one ends."""

    @classmethod
    def of(cls, batch: Batch) -> "Spans":
        starts = torch.nonzero(batch.positions.flatten() == 0).flatten()
        end = torch.tensor([batch.tokens.numel()], device=starts.device)
        return cls(torch.cat([starts, end]))

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """`begins` for the native call."""
        bounds: NDArray[np.int64] = self.begins.cpu().numpy()
        return bounds

    @cached_property
    def blocks(self) -> Blocks:
        """Made when first asked for: the native call needs none."""
        return Blocks.of(self.begins)


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
    if fits(q, v, heads=heads, kv_heads=kv_heads):
        threads = torch.get_num_threads()
        within = Attention(spans.bounds, heads, kv_heads, scale, window, threads)
        fused: Callable[..., Tensor] = Fused.apply
        return fused(q, k, v, within)
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
        blocks = spans.blocks
        keys = [block.take(k, kv_heads) for block in blocks.keys.blocks]
        values = [block.take(v, kv_heads) for block in blocks.keys.blocks]
        outs, kept = [], []
        for piece, (i, begin) in zip(blocks.queries.blocks, blocks.pieces, strict=True):
            qs, end = _queries(piece, q, heads, kv_heads), begin + piece.places.shape[1]
            unseen = _unseen(begin, end, heads // kv_heads, window, q)
            scores = torch.baddbmm(unseen, qs, keys[i][:, :end].mT, alpha=scale)
            weights = torch.softmax(scores, -1)
            outs.append(torch.bmm(weights, values[i][:, :end]))
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.rest = blocks, heads, kv_heads, scale
        return blocks.queries.back(outs, heads)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        q, k, v, *kept = ctx.saved_tensors
        blocks, heads, kv_heads, scale = ctx.rest
        keys = [block.take(k, kv_heads) for block in blocks.keys.blocks]
        values = [block.take(v, kv_heads) for block in blocks.keys.blocks]
        grads_q: list[Tensor] = []
        grads_k, grads_v = (
            [torch.zeros_like(x) for x in keys],
            [torch.zeros_like(x) for x in values],
        )
        for piece, (i, begin), weights in zip(
            blocks.queries.blocks, blocks.pieces, kept, strict=True
        ):
            end = begin + piece.places.shape[1]
            qs, out = _queries(piece, q, heads, kv_heads), _real(piece, grad, heads, kv_heads)
            grad_weights = torch.bmm(out, values[i][:, :end].mT)
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            grads_q.append(torch.bmm(grad_scores, keys[i][:, :end]).mul_(scale))
            _added(grads_v[i], end, weights, out)
            _added(grads_k[i], end, grad_scores.mul_(scale), qs)
        return (
            blocks.queries.back(grads_q, heads),
            blocks.keys.back(grads_k, kv_heads),
            blocks.keys.back(grads_v, kv_heads),
            *(None,) * 5,
        )


def _queries(piece: Block, x: Tensor, heads: int, kv_heads: int) -> Tensor:
    """[T, heads * d] -> [n * kv_heads, g * C, d]"""
    n, length = piece.places.shape
    return piece.take(x, heads).view(n * kv_heads, heads // kv_heads * length, -1)


def _real(piece: Block, grad: Tensor, heads: int, kv_heads: int) -> Tensor:
    """The same of a gradient; the filling's, which would reach keys that it sees, is zero."""
    n, length = piece.places.shape
    taken = piece.take(grad, heads).view(n, heads, length, -1)
    if not bool(piece.real.all()):
        taken = taken.masked_fill_(~piece.real[:, None, :, None], 0)
    return taken.view(n * kv_heads, -1, taken.shape[-1])


def _added(into: Tensor, end: int, weights: Tensor, x: Tensor) -> None:
    """into[:, :end] += weights' transpose times x."""
    into[:, :end] += torch.bmm(weights.mT, x)


def _unseen(begin: int, end: int, group: int, window: int, like: Tensor) -> Tensor:
    """[g * C, end]: -inf where a query, the first at `begin`, does not see a key, else 0."""
    here, there = torch.arange(begin, end)[:, None], torch.arange(end)[None, :]
    hidden = there > here
    if window:
        hidden |= there <= here - window
    mask = torch.zeros(end - begin, end, dtype=like.dtype).masked_fill_(hidden, -inf)
    return mask.repeat(group, 1).to(like.device)


def _room(length: int) -> int:
    for room in LENGTHS:
        if length <= room:
            return room
    return -(-length // LENGTHS[-1]) * LENGTHS[-1]
