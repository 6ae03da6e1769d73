"""Qwen3 dense (2505.09388): Llama with each head of queries and keys normalised before RoPE."""

from collections.abc import Callable, Mapping
from typing import Any

from farthing import ops
from farthing.models.config import Dense, flag, windows_of_layers
from farthing.models.llama import Block, Llama
from farthing.models.tensors import Tensors
from farthing.models.types import Step


class Qwen3(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        return Dense.from_hf(config, windows_of_layers(config), head_dim=128)

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> "NormedBlock":
        biased = "qkvo" if flag(config, "attention_bias") else ""
        return NormedBlock(self.config, tensors, layer, biased)


class NormedBlock(Block):
    def __init__(
        self,
        c: Dense,
        tensors: Tensors,
        layer: int,
        biased: str,
        *,
        mlp: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(c, tensors, layer, biased, mlp=mlp)
        self.q_norm = tensors.take("self_attn.q_norm.weight", c.shape.head_dim)
        self.k_norm = tensors.take("self_attn.k_norm.weight", c.shape.head_dim)

    def queries_and_keys(self, x: Any, step: Step) -> tuple[Any, Any]:
        s, rotation, eps = self.config.shape, self.config.rotation, self.config.norm_eps
        q = ops.rms_norm(self.q(x), self.q_norm, eps=eps, heads=s.heads)
        k = ops.rms_norm(self.k(x), self.k_norm, eps=eps, heads=s.kv_heads)
        q = ops.rope(q, step.positions, rotation, heads=s.heads)
        return q, ops.rope(k, step.positions, rotation, heads=s.kv_heads)
