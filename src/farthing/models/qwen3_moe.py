"""Qwen3-MoE (2505.09388): Qwen3's attention, and in place of its MLP many small experts."""

from collections.abc import Mapping
from typing import Any

from farthing.models.config import Dense, flag, whole, window_in_use
from farthing.models.llama import Llama
from farthing.models.qwen2_moe import plain_or_mixed
from farthing.models.qwen3 import NormedBlock
from farthing.models.tensors import Tensors


class Qwen3Moe(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        # max_window_layers may stand there and means nothing: all layers slide, or none
        layers = whole(config, "num_hidden_layers")
        return Dense.from_hf(config, (window_in_use(config),) * layers)

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> NormedBlock:
        biased = "qkvo" if flag(config, "attention_bias") else ""
        mlp = plain_or_mixed(tensors.under("mlp"), config, self.config, layer)
        return NormedBlock(self.config, tensors, layer, biased, mlp=mlp)
