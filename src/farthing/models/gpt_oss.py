"""gpt-oss (2508.10925): experts of clamped units, windows on every other layer, attention sinks.

A head's sink is a logit that takes weight and gives nothing, so that a head may look at nothing.
Everything has a bias, the router and the experts included.
"""

from collections.abc import Mapping
from typing import Any

from farthing.models.config import Dense, flag, number, whole, windows_of_layers
from farthing.models.llama import Block, Llama
from farthing.models.mixture import Mixture, checked
from farthing.models.tensors import Tensors
from farthing.ops.mixture import Activation, Router

KINDS = ("sliding_attention", "full_attention")
"""In turn, where a config does not say which layers slide."""

THETA = 150000.0
YARN = {
    "rope_type": "yarn",
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}


class GptOss(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        return Dense.from_hf(_whole_config(config), windows_of_layers(_whole_config(config)))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> "SinkBlock":
        mixture = Mixture(
            tensors.under("mlp"),
            _router(config),
            self.config.width,
            self.config.inner,
            activation=_activation(config),
            biased=True,
        )
        biased = "qkvo" if flag({"attention_bias": True, **config}, "attention_bias") else ""
        return SinkBlock(self.config, tensors, layer, biased, mlp=mixture)


class SinkBlock(Block):
    def __init__(
        self, c: Dense, tensors: Tensors, layer: int, biased: str, *, mlp: Mixture
    ) -> None:
        super().__init__(c, tensors, layer, biased, mlp=mlp)
        self.sinks = tensors.take("self_attn.sinks", c.shape.heads)


def _whole_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """With what the family takes for granted."""
    layers = whole(config, "num_hidden_layers")
    full = {"head_dim": 64, "rms_norm_eps": 1e-5, "sliding_window": 128, **config}
    full["use_sliding_window"] = full["sliding_window"] is not None
    if full.get("layer_types") is None:
        full["layer_types"] = [KINDS[i % 2] for i in range(layers)]
    full["rope_theta"] = full.get("rope_theta") or THETA
    if not (full.get("rope_parameters") or full.get("rope_scaling")):
        full["rope_parameters"] = YARN
    return full


def _router(config: Mapping[str, Any]) -> Router:
    router = Router(
        experts=whole(config, "num_local_experts"),
        top_k=whole(config, "num_experts_per_tok"),
        score="softmax_chosen",
    )
    return checked(router, "num_local_experts")


def _activation(config: Mapping[str, Any]) -> Activation:
    return Activation(
        sharpness=number(config, "swiglu_alpha", 1.702),
        shift=1.0,
        limit=number(config, "swiglu_limit", 7.0),
    )
