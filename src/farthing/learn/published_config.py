"""A config.json that says all that its page takes for granted.

What a field is when it is missing, programs disagree on: a page takes queries without a low rank,
where transformers takes 1,536. So nothing is left to them.
"""

from collections.abc import Mapping
from typing import Any

from farthing import models
from farthing.models import glm4_moe
from farthing.models.tensors import Tensors

ARCHITECTURES = {
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "glm4_moe": "Glm4MoeForCausalLM",
    "granitemoe": "GraniteMoeForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "olmoe": "OlmoeForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}
"""Families that are written; each is held to transformers by a test."""

STALE = ("dtype", "transformers_version", "_name_or_path", "pad_token_id")
"""Fields of config.json that spoke of other files."""

ALL: dict[str, Any] = {
    "attention_bias": False,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
DEEPSEEK: dict[str, Any] = {"q_lora_rank": None, "moe_layer_freq": 1, "n_shared_experts": 0}
QWEN_EXPERTS: dict[str, Any] = {
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "norm_topk_prob": False,
}
GRANTED: dict[str, dict[str, Any]] = {
    "deepseek_v2": DEEPSEEK
    | {
        "norm_topk_prob": False,
        "routed_scaling_factor": 1.0,
        "scoring_func": "softmax",
        "topk_method": "greedy",
    },
    "deepseek_v3": DEEPSEEK
    | {
        "norm_topk_prob": True,
        "rope_interleave": True,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
    },
    "glm4_moe": glm4_moe.DEFAULTS | {"routed_scaling_factor": 1.0, "use_qk_norm": False},
    "granitemoe": dict.fromkeys(
        ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"),
        1.0,
    ),
    "llama": {"mlp_bias": False},
    "mistral": {"sliding_window": 4096},
    "mixtral": {"rms_norm_eps": 1e-5, "rope_theta": 1e6, "sliding_window": None},
    "olmoe": {"rms_norm_eps": 1e-5, "norm_topk_prob": False, "clip_qkv": None},
    "qwen2": {"use_sliding_window": False},
    "qwen2_moe": QWEN_EXPERTS | {"use_sliding_window": False, "qkv_bias": True},
    "qwen3": {"use_sliding_window": False},
    "qwen3_moe": QWEN_EXPERTS | {"use_sliding_window": False},
}
"""What a family's page takes where a config has nothing."""

NULL = ("clip_qkv", "q_lora_rank", "sliding_window")
"""Fields whose null says something: there is none. Elsewhere it counts as absent."""

ROTATED = ("rope_parameters", "rope_scaling")


def explicit(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same model's config.json. Raises FormatError as the page does."""
    family = models.family(config)
    shape = models.TABLE[family](config, Tensors(None)).shape
    granted = ALL | GRANTED[family]
    granted["num_key_value_heads"] = config["num_attention_heads"]
    if not any(config.get(name) for name in ROTATED):
        granted.setdefault("rope_theta", 10_000.0)
    if not shape.latent:
        granted["head_dim"] = shape.head_dim
    made = {name: value for name, value in config.items() if name not in STALE}
    for name, value in granted.items():
        if name not in made or (made[name] is None and name not in NULL):
            made[name] = value
    return made | {"architectures": [ARCHITECTURES[family]], "torch_dtype": "bfloat16"}
