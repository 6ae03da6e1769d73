"""The ops of a training step in torch's fastest forms: each is held to `ops.reference` by a test.

An instance serves one pass over one batch of rows: it knows how documents lie in them, and keeps
what routers did. Its `layer` is nothing: there is no cache, a row is all there is.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farthing.errors import InputError
from farthing.learn.balance import sequence_loss
from farthing.learn.batches import Batch
from farthing.learn.cross_entropy import Logits
from farthing.learn.experts import mixed
from farthing.learn.gating import silu_mul
from farthing.learn.latents import HeadProduct, Latents, Queries, joined
from farthing.learn.native import fp32, instructions
from farthing.learn.norm import rms_norm
from farthing.learn.rotary import Angles, turned
from farthing.learn.spans import Spans, attend
from farthing.ops import training
from farthing.ops.mixture import SILU, Activation, Bank, Router
from farthing.ops.reference import cos_sin
from farthing.ops.reference_mixture import Routed, route
from farthing.ops.rotation import Rotation


class Fast:
    """Shapes: B rows of L tokens; T = B * L, row by row, as the page sees them."""

    def __init__(self, batch: Batch) -> None:
        self.sequences = len(batch.tokens)
        self.spans = Spans.of(batch)
        self.loads: dict[int, Tensor] = {}
        """Tokens that each expert got [E], by the id() of the router's correction, or its place."""

        self.sequence_losses: dict[int, Tensor] = {}
        """balance.sequence_loss, by the same."""

        self._angles: dict[Rotation, Angles] = {}

    def embedding(self, table: Tensor, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, table)

    def rms_norm(self, x: Tensor, weight: Tensor, *, eps: float, heads: int = 1) -> Tensor:
        return rms_norm(x.view(x.shape[0], heads, -1), weight, eps).view(x.shape)

    def linear(
        self, x: Tensor, weight: Tensor, bias: Tensor | None = None, *, precise: bool = False
    ) -> Tensor:
        if precise:
            x, weight = x.float(), weight.float()
        return F.linear(x, weight, None if bias is None else bias.to(x.dtype))

    def head_linear(self, x: Tensor | Latents, weight: Tensor) -> Tensor | HeadProduct:
        """What latents gave is made here; a query is put off until latents.py knows its keys."""
        return x.by(weight) if isinstance(x, Latents) else HeadProduct(x, weight)

    def logits(self, x: Tensor, weight: Tensor) -> Logits:
        """Not multiplied yet: cross_entropy.py does it by chunks."""
        return Logits(x, weight)

    def rope(self, x: Tensor, positions: Tensor, rotation: Rotation, *, heads: int) -> Tensor:
        if rotation not in self._angles:
            self._angles[rotation] = cos_sin(rotation, positions)
        interleaved = rotation.layout != "half"
        return turned(x, self._angles[rotation], heads=heads, interleaved=interleaved)

    def attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        step: Any,
        layer: Any,
        *,
        heads: int,
        kv_heads: int,
        scale: float,
        window: int = 0,
        sinks: Tensor | None = None,
    ) -> Tensor:
        if sinks is not None:
            raise InputError("attention sinks (gpt-oss) can't be trained yet")
        return attend(
            q, k, v, self.spans, heads=heads, kv_heads=kv_heads, scale=scale, window=window
        )

    def latent_attention(
        self,
        q: Queries,
        latent: Tensor,
        step: Any,
        layer: Any,
        *,
        heads: int,
        width: int,
        scale: float,
    ) -> Latents:
        return Latents(q, latent, self.spans, scale)

    def route(self, logits: Tensor, router: Router, correction: Tensor | None = None) -> Routed:
        routed = route(logits, router, correction, largest=largest)
        with torch.no_grad():
            load = torch.bincount(routed.ids.reshape(-1), minlength=router.experts)
        # a router without a correction goes by its place: -1 is the first
        key = -len(self.loads) - 1 if correction is None else id(correction)
        self.loads[key] = load
        scores = logits.sigmoid() if router.score == "sigmoid" else logits.softmax(-1)
        chosen = torch.zeros_like(logits).scatter_(1, routed.ids, 1.0)
        self.sequence_losses[key] = sequence_loss(scores, chosen, self.sequences, router.top_k)
        return routed

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
        if activation != SILU or bank.gate_bias is not None:
            raise InputError("experts with biases or clipped activations can't be trained yet")
        out = mixed(x, routed.ids, routed.weights, bank.gate, bank.up, bank.down)
        if shared is None:
            return out
        answer = F.linear(
            self.silu_mul(F.linear(x, shared.gate), F.linear(x, shared.up)), shared.down
        )
        return out + (answer if gate is None else gate.sigmoid().to(x.dtype) * answer)

    def silu_mul(self, gate: Tensor, up: Tensor) -> Tensor:
        return silu_mul(gate, up)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def scale(self, x: Tensor, factor: float) -> Tensor:
        return x * factor

    def part(self, x: Tensor, *, heads: int, begin: int, end: int) -> Tensor:
        return x.view(x.shape[0], heads, -1)[..., begin:end].reshape(x.shape[0], -1)

    def join(self, x: Tensor | HeadProduct, y: Tensor, *, heads: int) -> Tensor | Queries:
        return Queries(x, y) if isinstance(x, HeadProduct) else joined(x, y, heads)

    def rows(self, x: Tensor, step: Any) -> Tensor:
        return x


def largest(worth: Tensor, count: int) -> Tensor:
    """Of equals any, where the reference takes the first: scores are not equal but by chance."""
    isa = instructions(worth, dtype=torch.float32)
    if isa is None:
        return worth.topk(count, sorted=False).indices
    ids = torch.empty(*worth.shape[:-1], count, dtype=torch.int64)
    rows, best = worth.contiguous().view(-1, worth.shape[-1]), ids.view(-1, count)
    training.largest(isa, fp32(rows), best.numpy(), torch.get_num_threads())
    return ids
