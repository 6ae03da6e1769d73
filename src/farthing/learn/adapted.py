"""The ops of a training step where weights may have low-rank parts, or be codes.

A linear adds (x A^T) B^T to what the frozen weight makes, and experts do so each for its own
tokens: no gradient of a frozen weight is ever computed, and codes (frozen.py) stay codes.

Shapes: T tokens, k experts a token, P = T * k pairs of both.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farthing.errors import InputError
from farthing.learn import frozen
from farthing.learn.fast import Fast
from farthing.learn.latents import HeadProduct, Latents
from farthing.learn.lora import Weight
from farthing.ops.mixture import SILU, Activation, Bank
from farthing.ops.reference_mixture import Routed


class Adapted(Fast):
    """Fast, where weights may have a part, or be codes."""

    def linear(
        self, x: Tensor, weight: Any, bias: Tensor | None = None, *, precise: bool = False
    ) -> Tensor:
        if not isinstance(weight, Weight):
            return super().linear(x, weight, bias, precise=precise)
        out = frozen.linear(x, weight.base)
        if bias is not None:
            out = out + bias.to(out.dtype)
        if weight.part is None:
            return out
        return out + F.linear(F.linear(x, weight.part.a), weight.part.b) * weight.part.scale

    def head_linear(self, x: Tensor | Latents, weight: Any) -> Tensor | HeadProduct:
        dtype = (x.latent if isinstance(x, Latents) else x).dtype
        whole = weight.whole(dtype) if isinstance(weight, Weight) else weight
        return super().head_linear(x, whole)

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
        plain = not any(isinstance(w, Weight) for w in (bank.gate, bank.up, bank.down))
        if plain and (shared is None or isinstance(shared.gate, Tensor)):
            return super().experts(x, routed, bank, activation=activation, shared=shared, gate=gate)
        if activation != SILU or bank.gate_bias is not None:
            raise InputError("experts with biases or clipped activations can't be trained yet")
        out = self._mixed(x, routed, bank)
        if shared is None:
            return out
        middle = self.silu_mul(self.linear(x, shared.gate), self.linear(x, shared.up))
        answer = self.linear(middle, shared.down)
        return out + (answer if gate is None else gate.sigmoid().to(x.dtype) * answer)

    def _mixed(self, x: Tensor, routed: Routed, bank: Bank) -> Tensor:
        top_k = routed.ids.shape[1]
        flat = routed.ids.reshape(-1)
        order = flat.argsort(stable=True)
        ends = torch.bincount(flat, minlength=bank.gate.shape[0]).cumsum(0).tolist()
        source = order // top_k
        inputs = x[source]
        middle = self.silu_mul(_grouped(inputs, bank.gate, ends), _grouped(inputs, bank.up, ends))
        out = _grouped(middle, bank.down, ends)
        out = out * routed.weights.reshape(-1)[order].to(x.dtype)[:, None]
        return torch.zeros_like(x).index_add(0, source, out)


def _grouped(x: Tensor, weight: Any, ends: Sequence[int]) -> Tensor:
    if not isinstance(weight, Weight):
        return frozen.grouped(x, weight, ends)
    out = frozen.grouped(x, weight.base, ends)
    if weight.part is None:
        return out
    low = frozen.grouped(x, weight.part.a, ends)
    return out + frozen.grouped(low, weight.part.b, ends) * weight.part.scale
