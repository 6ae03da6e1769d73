"""How many operations a token of training needs: counted by reading the page, not estimated.

What counts is what the model asks for, however it is computed: products with matrices and within
attention, a token's own experts alone, and twice as much again on the way back. Work done again to
save memory, norms, softmax and the optimizer's own products don't count.

Shapes: T tokens.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from farthing import models, ops
from farthing.learn.latents import HeadProduct, Latents, Queries
from farthing.learn.losses import NoCache, Step
from farthing.models.deepseek_mtp import NextToken, next_token_tensors
from farthing.models.tensors import Tensors
from farthing.ops.mixture import Bank, Router

BACK = 3
"""Forward once; on the way back gradients of inputs and of weights, as much each."""


@dataclass(frozen=True, slots=True)
class Work:
    """Of a model's forward pass. A product's operations are 2 for each of its pairs of numbers."""

    token: int
    """Operations of matrices, a token."""

    pair: Mapping[int, int]
    """Operations of attention for each pair of a token and one it sees, by window (0: all)."""

    parameters: int
    active: int
    """Of these, how many a token meets: all but the experts that it does not go to."""

    def training(self, positions: Tensor) -> float:
        """Operations a token, mean over tokens at these positions of their documents, and back."""
        seen = positions.double() + 1
        pairs = sum(
            operations * float((seen.clamp(max=window) if window else seen).mean())
            for window, operations in self.pair.items()
        )
        return BACK * (self.token + pairs)


def count(config: Mapping[str, Any], *, next_token: bool) -> Work:
    """By reading one token of the page on tensors without numbers."""
    shapes, layers = models.tensors_of(config), int(config["num_hidden_layers"])
    further = next_token_tensors(config) if next_token else {}
    weights = {n: torch.empty(s, device="meta") for n, s in (shapes | further).items()}
    one = torch.empty(1, dtype=torch.int64, device="meta")
    step, counting = Step(one, one), Counting()
    with ops.reading(counting):
        page: Any = models.load(config, {name: weights[name] for name in shapes})
        hidden = page.final(page.stream(step, NoCache((None,) * layers)))
        page.answer(hidden)
        if next_token:
            head = NextToken(page, config, Tensors(weights))
            page.answer(head.final(hidden, step, None))
    total = sum(weight.numel() for weight in weights.values())
    return Work(counting.token, dict(counting.pair), total, total - counting.idle)


class Counting:
    """Ops that give the shape of what they would, and note what it would have cost."""

    def __init__(self) -> None:
        self.token = self.idle = 0
        self.pair: Counter[int] = Counter()

    def embedding(self, table: Tensor, tokens: Tensor) -> Tensor:
        return _wide(table.shape[1])

    def linear(
        self, x: Tensor, weight: Tensor, bias: Any = None, *, precise: bool = False
    ) -> Tensor:
        self.token += 2 * weight.numel()
        return _wide(weight.shape[0])

    def head_linear(self, x: Tensor | Latents, weight: Tensor) -> Tensor | HeadProduct:
        self.token += 2 * weight.numel()
        if not isinstance(x, Latents):
            return HeadProduct(x, weight)
        values = weight.shape[0] * weight.shape[1]
        self.pair[0] += 2 * (x.queries.plain.x.shape[1] + x.queries.rotated.shape[1] + values)
        return _wide(values)

    def logits(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.linear(x, weight)

    def attention(
        self, q: Tensor, k: Tensor, v: Tensor, *_: Any, window: int = 0, **shape: Any
    ) -> Tensor:
        values = v.shape[1] // shape["kv_heads"] * shape["heads"]
        self.pair[window] += 2 * (q.shape[1] + values)
        return _wide(values)

    def latent_attention(
        self, q: Queries, latent: Tensor, *_: Any, heads: int, width: int, scale: float
    ) -> Latents:
        return Latents(q, latent, None, scale)

    def route(self, logits: Tensor, router: Router, correction: Any = None) -> Router:
        return router

    def experts(
        self, x: Tensor, routed: Router, bank: Bank, *, shared: Bank | None = None, **_: Any
    ) -> Tensor:
        each = sum(stack[0].numel() for stack in (bank.gate, bank.up, bank.down))
        self.token += 2 * routed.top_k * each
        self.idle += (routed.experts - routed.top_k) * each
        if shared is not None:
            self.token += 2 * sum(one.numel() for one in (shared.gate, shared.up, shared.down))
        return x

    def part(self, x: Tensor, *, heads: int, begin: int, end: int) -> Tensor:
        return _wide(heads * (end - begin))

    def join(self, x: Tensor | HeadProduct, y: Tensor, *, heads: int) -> Tensor | Queries:
        if isinstance(x, HeadProduct):
            return Queries(x, y)
        return _wide(x.shape[1] + y.shape[1])

    def rms_norm(self, x: Tensor, weight: Tensor, **_: Any) -> Tensor:
        return x

    def rope(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        return x

    def silu_mul(self, gate: Tensor, up: Tensor) -> Tensor:
        return gate

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x

    def scale(self, x: Tensor, factor: float) -> Tensor:
        return x

    def rows(self, x: Tensor, step: Any) -> Tensor:
        return x


def _wide(width: int) -> Tensor:
    return torch.empty(1, width, device="meta")


def peak(dtype: torch.dtype = torch.bfloat16, *, size: int = 2048, seconds: float = 0.5) -> float:
    """Operations a second of torch's square product on the threads it has: the best of a few."""
    left, right = (torch.ones(size, size, dtype=dtype) for _ in range(2))
    best, began, tries = float("inf"), perf_counter(), 0
    while tries < 3 or perf_counter() - began < seconds:
        start = perf_counter()
        torch.mm(left, right)
        best, tries = min(best, perf_counter() - start), tries + 1
    return 2 * size**3 / best
