"""Small models of transformers with their weights as training takes them. Shared by tests here."""

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import MtpModel

from models.canonical import canonical
from models.deepseek_checkpoints import EXPERTS, GROUPS, LATENT, LOW, ONE_GROUP
from models.oracle import checkpoint

VOCABULARY = 97
DOCUMENTS = [[20, 5, 17], [30, 12], [42]]
"""Lengths in three rows of 40 tokens, and the two that follow a row."""

QWEN3_MOE: dict[str, Any] = {
    "head_dim": 16,
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 24,
    "norm_topk_prob": True,
}
LITTLE = {"num_hidden_layers": 2}
V3 = LATENT | EXPERTS | LITTLE
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "V3, low-rank queries, groups": ("deepseek_v3", V3 | LOW | GROUPS),
    "V3, tied, scaled": (
        "deepseek_v3",
        V3 | ONE_GROUP | {"routed_scaling_factor": 2.446, "tie_word_embeddings": True},
    ),
    "V2": ("deepseek_v2", V3 | {"n_group": None, "topk_group": None}),
    "Qwen3-MoE": ("qwen3_moe", LITTLE | QWEN3_MOE),
    "Qwen3-MoE, tied": ("qwen3_moe", LITTLE | QWEN3_MOE | {"tie_word_embeddings": True}),
    "Llama": ("llama", LITTLE),
    "Llama, tied, biased": (
        "llama",
        LITTLE | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "Qwen3": ("qwen3", LITTLE | {"head_dim": 16}),
    "Mistral, window": ("mistral", LITTLE | {"sliding_window": 9}),
    "Qwen2": ("qwen2", LITTLE),
    "Qwen2-MoE, a gate on the shared": (
        "qwen2_moe",
        LITTLE | QWEN3_MOE | {"shared_expert_intermediate_size": 40},
    ),
    "Mixtral": ("mixtral", LITTLE | {"num_local_experts": 4}),
    "OLMoE": ("olmoe", LITTLE | QWEN3_MOE | {"pad_token_id": None, "eos_token_id": None}),
    "GLM-4-MoE": (
        "glm4_moe",
        LITTLE | GROUPS | EXPERTS | {"head_dim": 16, "use_qk_norm": True, "attention_bias": True},
    ),
    "Granite-MoE, its multipliers": (
        "granitemoe",
        LITTLE
        | {"intermediate_size": 40, "num_local_experts": 8, "num_experts_per_tok": 3}
        | {"embedding_multiplier": 2.5, "residual_multiplier": 0.75}
        | {"attention_multiplier": 0.4, "logits_scaling": 1.5},
    ),
}


def made(case: str) -> tuple[dict[str, Any], Any]:
    """config.json and transformers' model, whose experts meet their tokens one after the other."""
    family, changes = FAMILIES[case]
    config, theirs = checkpoint(family, **changes)
    theirs.config._experts_implementation = "eager"
    return config, theirs


def leaves(state: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """A state_dict by the page's names, ready for gradients."""
    named = canonical(state, config)
    found = {name: tensor.detach().clone().contiguous() for name, tensor in named.items()}
    for name, tensor in found.items():
        tensor.requires_grad_(not name.endswith("e_score_correction_bias"))
    return found


def their_gradients(theirs: Any, config: dict[str, Any]) -> dict[str, Tensor]:
    """By the page's names."""
    given = {name: p.grad for name, p in theirs.named_parameters()}
    assert None not in given.values()
    return canonical(given, config)


def with_next_token(theirs: Any) -> Any:
    """transformers' own next-token head on a model, random as the model is."""
    torch.manual_seed(6)
    head = MtpModel(theirs, 1).eval().float()
    with torch.no_grad():
        for name, parameter in head.layers.named_parameters():
            centre = 1.0 if "norm" in name else 0.0
            parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
        for name, buffer in head.layers.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.25 * torch.randn_like(buffer))
    return head


def as_in_checkpoints(given: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """The head's tensors under the names that released weights have: the layer after the last."""
    prefix = f"model.layers.{config['num_hidden_layers']}."
    renamed = {}
    for name, tensor in given.items():
        if name.startswith("layers.0."):
            name = name.removeprefix("layers.0.").removeprefix("mtp_block.")
            renamed[prefix + name.replace("post_norm", "shared_head.norm")] = tensor
    return renamed
