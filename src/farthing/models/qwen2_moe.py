"""Qwen2-MoE (Qwen1.5-MoE, 2407.10671): Qwen2 with experts, and one that all share, by a gate.

Some layers may keep a plain MLP.
"""

from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.models.config import Dense, flag, whole, window_in_use, windows_of_layers
from farthing.models.llama import MLP, Block, Llama
from farthing.models.mixture import Mixture, Shared, softmax_router
from farthing.models.tensors import Tensors


class Qwen2Moe(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        if window_in_use(config) and config.get("layer_types") is None:
            raise FormatError(
                "config.json: qwen2_moe with use_sliding_window does not say which layers slide,"
                " and its writers disagree; give layer_types"
            )
        return Dense.from_hf(config, windows_of_layers(config))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Block:
        biased = "qkv" if flag(config, "qkv_bias", True) else ""
        shared = Shared("shared_expert", whole(config, "shared_expert_intermediate_size"), True)
        mlp = plain_or_mixed(tensors.under("mlp"), config, self.config, layer, shared)
        return Block(self.config, tensors, layer, biased, mlp=mlp)


def plain_or_mixed(
    tensors: Tensors, hf: Mapping[str, Any], c: Dense, layer: int, shared: Shared | None = None
) -> MLP | Mixture:
    """Qwen's rule: experts in every decoder_sparse_step'th layer, but for mlp_only_layers."""
    plain = hf.get("mlp_only_layers") or []
    if not isinstance(plain, list) or any(i not in range(c.shape.layers) for i in plain):
        raise FormatError(
            f"config.json: mlp_only_layers is {plain!r:.80}; expected a list of layers, from 0 to"
            f" {c.shape.layers - 1}"
        )
    if layer in plain or (layer + 1) % whole(hf, "decoder_sparse_step", 1):
        return MLP(tensors, c.width, c.inner)
    router = softmax_router(hf, normalise=flag(hf, "norm_topk_prob"))
    inner = whole(hf, "moe_intermediate_size")
    return Mixture(tensors, router, c.width, inner, shared=shared)
