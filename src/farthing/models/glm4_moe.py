"""GLM-4-MoE (GLM-4.5, 2508.06471): DeepSeek-V3's router beside plain attention.

Half of each head is turned. The larger of the published models normalises queries and keys, head
by head; in both the first layers have a plain MLP.
"""

from collections.abc import Mapping
from typing import Any

from farthing.models.config import Dense, flag, number, whole
from farthing.models.deepseek import Sparse, one_of
from farthing.models.llama import Block, Llama
from farthing.models.qwen3 import NormedBlock
from farthing.models.tensors import Tensors
from farthing.ops.mixture import Router

DEFAULTS = {
    "partial_rotary_factor": 0.5,
    "rms_norm_eps": 1e-5,
    "first_k_dense_replace": 1,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
}
"""What the family has where a config does not say."""


class Glm4Moe(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        full = {**DEFAULTS, **config}
        self.sparse = Sparse.from_hf(full, _router(full), corrected=True)
        return Dense.from_hf(full, (0,) * whole(full, "num_hidden_layers"))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Block:
        mlp = self.sparse.mlp(tensors.under("mlp"), self.config, layer)
        biased = "qkv" if flag(config, "attention_bias") else ""
        kind = NormedBlock if flag(config, "use_qk_norm") else Block
        return kind(self.config, tensors, layer, biased, mlp=mlp)


def _router(config: Mapping[str, Any]) -> Router:
    # Published configs have neither; one that has means what transformers does without them.
    one_of(config, "scoring_func", "sigmoid")
    one_of(config, "topk_method", "noaux_tc")
    return Router(
        experts=whole(config, "n_routed_experts"),
        top_k=whole(config, "num_experts_per_tok"),
        score="sigmoid",
        normalise=flag(config, "norm_topk_prob"),
        scale=number(config, "routed_scaling_factor", 1.0),
        groups=whole(config, "n_group"),
        top_groups=whole(config, "topk_group"),
        group_by="two",
    )
