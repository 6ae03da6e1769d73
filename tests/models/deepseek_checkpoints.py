"""Small DeepSeek checkpoints, one for each branch that a config can take. Shared by tests here."""

from typing import Any

import torch
import transformers
from torch import nn
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as v2
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeTopKRouter

from models.oracle import checkpoint, randomised

LATENT: dict[str, Any] = {
    "num_key_value_heads": 3,
    "kv_lora_rank": 32,
    "q_lora_rank": None,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 24,
}
EXPERTS: dict[str, Any] = {
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
}
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 40.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
}
SHARED = LATENT | EXPERTS
LOW = {"q_lora_rank": 24, "attention_bias": True}
GROUPS = {"n_group": 4, "topk_group": 2}
LIMITED = GROUPS | {"topk_method": "group_limited_greedy", "routed_scaling_factor": 16.0}
ONE_GROUP = {"n_group": 1, "topk_group": 1}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "V2-Lite": ("deepseek_v2", {"rope_parameters": YARN}),
    "V2": ("deepseek_v2", LOW | LIMITED | {"rope_parameters": YARN | {"mscale": 1.0}}),
    "V2, all layers of experts, tied": (
        "deepseek_v2",
        LIMITED | {"first_k_dense_replace": 0, "tie_word_embeddings": True, "n_group": 2},
    ),
    "V2, another eps": ("deepseek_v2", LOW | {"rms_norm_eps": 0.3}),
    "V3": ("deepseek_v3", LOW | GROUPS | {"rope_parameters": YARN | {"mscale": 1.0}}),
    "V3, weights as they come": ("deepseek_v3", GROUPS | {"norm_topk_prob": False}),
    "V3, halves": ("deepseek_v3", GROUPS | {"rope_interleave": False, "q_lora_rank": 16}),
    "Moonlight": ("deepseek_v3", ONE_GROUP | {"routed_scaling_factor": 2.446}),
    "Kimi K2": ("kimi_k2", ONE_GROUP | LOW | {"rope_parameters": YARN, "n_shared_experts": 2}),
    "DeepSeekMoE": ("deepseek", {}),
    "DeepSeekMoE, normalised": ("deepseek", {"norm_topk_prob": True, "attention_bias": True}),
    "DeepSeekMoE, one expert, none shared": (
        "deepseek",
        {"num_experts_per_tok": 1, "norm_topk_prob": True, "n_shared_experts": None},
    ),
    "DeepSeekMoE, every other layer, scaled": (
        "deepseek",
        {"moe_layer_freq": 2, "first_k_dense_replace": 0, "routed_scaling_factor": 1.5},
    ),
}


def made(case: str) -> tuple[dict[str, Any], Any]:
    """config.json and transformers' model of a case."""
    family, changes = CASES[case]
    if family == "deepseek":
        return plain_heads(changes)
    config, theirs = checkpoint(family.replace("kimi_k2", "deepseek_v3"), **(SHARED | changes))
    return config | {"model_type": family}, theirs


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def plain_heads(changes: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """DeepSeekMoE-16B, which transformers lacks: its Llama, with its V2's experts for MLPs."""
    hf = EXPERTS | {"n_shared_experts": 2, "moe_layer_freq": 1} | changes
    known = {name: value for name, value in hf.items() if value is not None}
    sizes: dict[str, Any] = {"hidden_size": 48, "num_attention_heads": 3}
    moe = transformers.DeepseekV2Config(**sizes | known)

    config, theirs = checkpoint("llama", **changes)
    for i, layer in enumerate(theirs.model.layers):
        if i >= hf["first_k_dense_replace"] and i % hf["moe_layer_freq"] == 0:
            layer.mlp = v2.DeepseekV2Moe(moe)
            # V2's router does not know how to normalise. DeepSeek's does not with one expert.
            if hf.get("norm_topk_prob") and hf["num_experts_per_tok"] > 1:
                layer.mlp.gate = Qwen2MoeTopKRouter(moe)
            if hf["n_shared_experts"] is None:
                layer.mlp.shared_experts = Nothing()
    return config | hf | {"model_type": "deepseek"}, randomised(theirs)
