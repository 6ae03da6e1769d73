"""Qwen2 (2407.10671): Llama with a bias on queries, keys and values, and windows on some layers."""

from collections.abc import Mapping
from typing import Any

from farthing.models.config import Dense, windows_of_layers
from farthing.models.llama import Block, Llama
from farthing.models.tensors import Tensors


class Qwen2(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        return Dense.from_hf(config, windows_of_layers(config))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Block:
        return Block(self.config, tensors, layer, "qkv")
