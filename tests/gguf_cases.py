"""A small config of each family that GGUF knows as a mixture, and random tensors for it."""

from pathlib import Path
from typing import Any

import numpy as np

import gguf_models
from farthing import formats
from gguf_models import Arrays

YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
}
HALF = {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}
COMMON = {
    "vocab_size": 40,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "num_experts_per_tok": 3,
}
FINE = {
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}
LATENT = FINE | {
    "num_key_value_heads": 4,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
}
GPT = {"head_dim": 32, "num_local_experts": 8, "sliding_window": 9}
GRANITE = {
    "num_local_experts": 4,
    "attention_multiplier": 0.25,
    "embedding_multiplier": 12.0,
    "residual_multiplier": 0.5,
    "logits_scaling": 6.0,
    "tie_word_embeddings": True,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("mixtral", {"num_local_experts": 4}),
    "qwen3moe": (
        "qwen3_moe",
        {"head_dim": 32, "num_experts": 8, "moe_intermediate_size": 32, "norm_topk_prob": True},
    ),
    "qwen2moe": (
        "qwen2_moe",
        {"num_experts": 8, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 64},
    ),
    "olmoe": ("olmoe", {"num_experts": 8, "num_key_value_heads": 4, "eos_token_id": 0}),
    "v2": (
        "deepseek_v2",
        LATENT
        | {"q_lora_rank": 32, "n_group": 4, "topk_group": 2, "topk_method": "group_limited_greedy"}
        | {"routed_scaling_factor": 16.0}
        | {"rope_parameters": YARN | {"mscale": 0.707, "mscale_all_dim": 0.707}},
    ),
    "v2 lite": (
        "deepseek_v2",
        LATENT | {"q_lora_rank": None, "n_group": 1, "topk_group": 1, "topk_method": "greedy"},
    ),
    "v3": (
        "deepseek_v3",
        LATENT
        | {"q_lora_rank": 32, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5}
        | {"rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}},
    ),
    "glm4moe": (
        "glm4_moe",
        FINE
        | {"head_dim": 32, "use_qk_norm": True, "attention_bias": True}
        | {"routed_scaling_factor": 1.5, "rope_parameters": HALF},
    ),
    "gpt-oss": ("gpt_oss", GPT | {"rope_parameters": YARN | {"truncate": False}}),
    "granitemoe": ("granitemoe", GRANITE),
}
DEEPSEEK_16B = (
    COMMON
    | FINE
    | {
        "model_type": "deepseek",
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "norm_topk_prob": False,
        "routed_scaling_factor": 1.0,
    }
)
"""DeepSeekMoE's; transformers has no such family."""


def config_of(case: str) -> dict[str, Any]:
    """config.json as transformers would write it."""
    from transformers import AutoConfig

    family, changes = CASES[case]
    found: dict[str, Any] = AutoConfig.for_model(family, **(COMMON | changes)).to_dict()
    return found


def made(
    path: Path,
    case: str,
    tensors: Any = None,
    types: dict[str, str] | None = None,
    **keys: Any,
) -> Any:
    """The file of a case, read. `keys` change or (None) leave out what is there; dots are __."""
    config = config_of(case)
    found = gguf_models.tensors_of(config, arrays_of(config)) if tensors is None else tensors
    changed = {key.replace("__", "."): value for key, value in keys.items()}
    gguf_models.write(
        path / "model.gguf",
        gguf_models.ARCHITECTURES[config["model_type"]],
        gguf_models.keys_of(config) | changed,
        found,
        types,
    )
    return formats.open(path / "model.gguf")


def arrays_of(config: dict[str, Any], seed: int = 0) -> Arrays:
    """Tensors by our names: matrices exact in bf16, vectors and biases of any fp32."""
    random = np.random.default_rng(seed)
    found: Arrays = {}
    for name, shape in shapes_of(config).items():
        if len(shape) == 1 or name.endswith("bias"):
            found[name] = random.standard_normal(shape).astype(np.float32)
        else:
            found[name] = random.integers(-64, 64, shape).astype(np.float32) / 64
    return found


def shapes_of(c: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    h, v = c["hidden_size"], c["vocab_size"]
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (v, h),
        "model.norm.weight": (h,),
    }
    if not c.get("tie_word_embeddings"):
        found["lm_head.weight"] = (v, h)
    for layer in range(c["num_hidden_layers"]):
        inside = {"input_layernorm.weight": (h,), "post_attention_layernorm.weight": (h,)}
        inside |= _latent(c) if "kv_lora_rank" in c else _attention(c)
        inside |= _experts(c) if layer >= c.get("first_k_dense_replace", 0) else _mlp(c, "mlp.")
        found |= {f"model.layers.{layer}.{name}": shape for name, shape in inside.items()}
    return found


def _attention(c: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    family, h = c["model_type"], c["hidden_size"]
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    d = c.get("head_dim") or h // heads
    rows = {"q": heads * d, "k": kv * d, "v": kv * d}
    found: dict[str, tuple[int, ...]] = {f"{p}_proj.weight": (n, h) for p, n in rows.items()}
    found["o_proj.weight"] = (h, heads * d)
    if family in ("qwen2_moe", "gpt_oss", "glm4_moe"):
        found |= {f"{p}_proj.bias": (n,) for p, n in rows.items()}
    if family == "gpt_oss":
        found |= {"o_proj.bias": (h,), "sinks": (heads,)}
    if family in ("qwen3_moe", "glm4_moe"):
        found |= {"q_norm.weight": (d,), "k_norm.weight": (d,)}
    if family == "olmoe":
        found |= {"q_norm.weight": (heads * d,), "k_norm.weight": (kv * d,)}
    return {f"self_attn.{name}": shape for name, shape in found.items()}


def _latent(c: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    h, heads, low, rank = (
        c[key] for key in ("hidden_size", "num_attention_heads", "q_lora_rank", "kv_lora_rank")
    )
    nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    wide = heads * (nope + rope)
    found: dict[str, tuple[int, ...]] = {
        "kv_a_proj_with_mqa.weight": (rank + rope, h),
        "kv_a_layernorm.weight": (rank,),
        "k_b_proj.weight": (heads, rank, nope),
        "v_b_proj.weight": (heads, value, rank),
        "o_proj.weight": (h, heads * value),
    }
    if low:
        found |= {"q_a_proj.weight": (low, h), "q_a_layernorm.weight": (low,)}
    found["q_b_proj.weight" if low else "q_proj.weight"] = (wide, low or h)
    return {f"self_attn.{name}": shape for name, shape in found.items()}


def _experts(c: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    family, h = c["model_type"], c["hidden_size"]
    count = ("num_experts", "num_local_experts", "n_routed_experts")
    e = next(c[key] for key in count if key in c)
    i = c.get("moe_intermediate_size") or c["intermediate_size"]
    names = {"gate": (e, i, h), "up": (e, i, h), "down": (e, h, i)}
    found: dict[str, tuple[int, ...]] = {"mlp.gate.weight": (e, h)}
    found |= {f"mlp.experts.{name}_proj.weight": shape for name, shape in names.items()}
    if family == "gpt_oss":
        found |= {f"mlp.experts.{name}_proj.bias": shape[:2] for name, shape in names.items()}
        found["mlp.gate.bias"] = (e,)
    if family in ("deepseek_v3", "glm4_moe"):
        found["mlp.gate.e_score_correction_bias"] = (e,)
    if family == "qwen2_moe":
        found |= _mlp(c, "mlp.shared_expert.", c["shared_expert_intermediate_size"])
        found["mlp.shared_expert_gate.weight"] = (1, h)
    if shared := c.get("n_shared_experts"):
        found |= _mlp(c, "mlp.shared_experts.", i * shared)
    return found


def _mlp(c: dict[str, Any], prefix: str, inner: int = 0) -> dict[str, tuple[int, ...]]:
    h, i = c["hidden_size"], inner or c["intermediate_size"]
    shapes = {"gate": (i, h), "up": (i, h), "down": (h, i)}
    return {f"{prefix}{name}_proj.weight": shape for name, shape in shapes.items()}
