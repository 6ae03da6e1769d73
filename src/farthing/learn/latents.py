"""Latent attention as training wants it: every head's keys and values are made from the latents.

The page, written for serving, keeps latents alone: it takes queries and answers through each head's
part of the projection instead, so that a cache stays small. Pairs of tokens then meet over the
latent's width, twice a head's or more. A row under training has no cache: here the same products
are made in the other order, which costs half the attention and one large product for many small.

What the page asks for on the way is put off until it is known what for.

Shapes: T tokens, h heads, d a head's width before rotated numbers, R rotated ones, r the latent's
width, c the values'.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from farthing.learn.spans import Spans, attend


@dataclass(frozen=True, slots=True)
class HeadProduct:
    """Of each head's x [T, h * d] with its matrix of weight [h, r, d]: not made yet."""

    x: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class Queries:
    """Against latents, then rotated [T, h * R]: not made yet."""

    plain: HeadProduct
    rotated: Tensor


@dataclass(frozen=True, slots=True)
class Latents:
    """What `queries` take from latent [T, r + R], of which the first r are the values."""

    queries: Queries
    latent: Tensor
    spans: Spans | None
    """None where operations are counted only."""

    scale: float

    def by(self, values: Tensor) -> Tensor:
        """[T, h * c]: each head's answer through its matrix of values [h, c, r]."""
        plain, rotated, count = self.queries.plain, self.queries.rotated, len(self.latent)
        heads, rank, _ = plain.weight.shape
        assert self.spans is not None
        latent, key = self.latent[:, :rank], self.latent[:, None, rank:].expand(-1, heads, -1)
        k = latent @ plain.weight.transpose(0, 1).reshape(rank, -1)
        v = latent @ values.view(-1, rank).T
        q = joined(plain.x, rotated, heads)
        k = joined(k, key.reshape(count, -1), heads)
        return attend(q, k, v, self.spans, heads=heads, kv_heads=heads, scale=self.scale)


def joined(x: Tensor, y: Tensor, heads: int) -> Tensor:
    """[T, h * a], [T, h * b] -> [T, h * (a + b)]"""
    parts = [part.view(x.shape[0], heads, -1) for part in (x, y)]
    return torch.cat(parts, -1).view(x.shape[0], -1)
