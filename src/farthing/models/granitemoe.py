"""Granite-MoE: Mixtral's experts, and four numbers that scale what passes through the model.

Those of the embedding, of what each half of a block adds, of attention's scores, and of the logits
(Yang et al., 2203.03466, whence they come).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from farthing import ops
from farthing.models.config import Dense, flag, number, whole
from farthing.models.llama import Block, Llama
from farthing.models.mixture import Mixture, checked
from farthing.models.tensors import Tensors
from farthing.models.types import Cache, Step
from farthing.ops.mixture import Router


@dataclass(frozen=True, kw_only=True, slots=True)
class Multipliers:
    """What stands in a config as embedding_multiplier and so on; logits are divided by theirs."""

    embedding: float
    residual: float
    attention: float
    logits: float

    @classmethod
    def from_hf(cls, hf: Mapping[str, Any]) -> Self:
        return cls(
            embedding=number(hf, "embedding_multiplier", 1.0),
            residual=number(hf, "residual_multiplier", 1.0),
            attention=number(hf, "attention_multiplier", 1.0),
            logits=number(hf, "logits_scaling", 1.0),
        )


class GraniteMoe(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        self.multipliers = Multipliers.from_hf(config)
        return Dense.from_hf(config, (0,) * whole(config, "num_hidden_layers"))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Block:
        c, biased = self.config, "qkvo" if flag(config, "attention_bias") else ""
        mixture = Mixture(tensors.under("mlp"), _router(config), c.width, c.inner)
        block = Block(c, tensors, layer, biased, mlp=mixture)
        block.scale = self.multipliers.attention
        return block

    def stream(self, step: Step, cache: Cache) -> Any:
        m = self.multipliers
        x = ops.scale(ops.embedding(self.embed, step.tokens), m.embedding)
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = ops.add(x, ops.scale(block.attend(x, step, layer), m.residual))
            x = ops.add(x, ops.scale(block.mlp(x), m.residual))
        return x

    def answer(self, x: Any) -> Any:
        # before the head, where it is the same and there is less of it
        return ops.logits(ops.scale(x, 1 / self.multipliers.logits), self.head)


def _router(config: Mapping[str, Any]) -> Router:
    router = Router(
        experts=whole(config, "num_local_experts"),
        top_k=whole(config, "num_experts_per_tok"),
        score="softmax_chosen",
    )
    return checked(router, "num_local_experts")
