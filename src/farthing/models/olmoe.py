"""OLMoE (2409.02060): queries and keys normalised over all heads at once, and small experts."""

from collections.abc import Mapping
from typing import Any

from farthing import ops
from farthing.errors import FormatError
from farthing.models.config import Dense, filled, flag, whole
from farthing.models.llama import Block, Llama
from farthing.models.mixture import Mixture, softmax_router
from farthing.models.tensors import Tensors
from farthing.models.types import Step


class Olmoe(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        if config.get("clip_qkv") is not None:
            raise FormatError(
                f"config.json: clip_qkv is {config['clip_qkv']!r:.80}, which farthing does not run;"
                " expected null, as in the released models"
            )
        config = filled(config, rms_norm_eps=1e-5)
        return Dense.from_hf(config, (0,) * whole(config, "num_hidden_layers"))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> "WideNormedBlock":
        return WideNormedBlock(self.config, tensors, config, layer)


class WideNormedBlock(Block):
    def __init__(self, c: Dense, tensors: Tensors, config: Mapping[str, Any], layer: int) -> None:
        router = softmax_router(config, normalise=flag(config, "norm_topk_prob"))
        mlp = Mixture(tensors.under("mlp"), router, c.width, c.inner)
        biased = "qkvo" if flag(config, "attention_bias") else ""
        super().__init__(c, tensors, layer, biased, mlp=mlp)
        d = c.shape.head_dim
        self.q_norm = tensors.take("self_attn.q_norm.weight", c.shape.heads * d)
        self.k_norm = tensors.take("self_attn.k_norm.weight", c.shape.kv_heads * d)

    def queries_and_keys(self, x: Any, step: Step) -> tuple[Any, Any]:
        s, rotation, eps = self.config.shape, self.config.rotation, self.config.norm_eps
        q = ops.rms_norm(self.q(x), self.q_norm, eps=eps)
        k = ops.rms_norm(self.k(x), self.k_norm, eps=eps)
        q = ops.rope(q, step.positions, rotation, heads=s.heads)
        return q, ops.rope(k, step.positions, rotation, heads=s.kv_heads)
