"""Mixtral (2401.04088): Mistral's attention, and a few large experts in every layer."""

from collections.abc import Mapping
from typing import Any

from farthing.models.config import Dense, filled, whole
from farthing.models.llama import Block, Llama
from farthing.models.mixture import Mixture, softmax_router
from farthing.models.tensors import Tensors


class Mixtral(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        # unlike Mistral, no window stands for none
        window = 0
        if config.get("sliding_window") is not None:
            window = whole(config, "sliding_window")
        config = filled(config, rms_norm_eps=1e-5, rope_theta=1e6)
        return Dense.from_hf(config, (window,) * whole(config, "num_hidden_layers"))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Block:
        c, router = self.config, softmax_router(config, normalise=True)
        mlp = Mixture(tensors.under("mlp"), router, c.width, c.inner)
        return Block(c, tensors, layer, mlp=mlp)
