"""Toy models with experts and latent attention: every family, the names that its page asks for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import models, weight
from farthing.weight import E2M1, Form, Matrix
from native import toy_native
from native.toy_native import FORMS

ROUTERS = ("mlp.gate.weight", "mlp.shared_expert_gate.weight")
EXPERTS: dict[str, Any] = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 40}
ROUTED: dict[str, Any] = {
    "n_routed_experts": 12,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 48,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 1.5,
}
LATENT: dict[str, Any] = {
    "num_key_value_heads": 6,
    "kv_lora_rank": 48,
    "q_lora_rank": None,
    "qk_nope_head_dim": 24,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "head_dim": None,
}
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 40.0,
    "original_max_position_embeddings": 32,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
GROUPS = {"n_group": 4, "topk_group": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "qwen3_moe": EXPERTS | {"norm_topk_prob": True, "head_dim": 32},
    "qwen2_moe": EXPERTS | {"shared_expert_intermediate_size": 72},
    "deepseek_v2": LATENT
    | ROUTED
    | GROUPS
    | {"topk_method": "group_limited_greedy", "n_group": 3, "num_hidden_layers": 3},
    "deepseek_v3": LATENT | ROUTED | GROUPS | {"q_lora_rank": 56, "rope_parameters": YARN},
    "gpt_oss": {"num_local_experts": 8, "num_experts_per_tok": 3, "sliding_window": 50},
    "granitemoe": {
        "num_local_experts": 5,
        "num_experts_per_tok": 2,
        "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5,
        "attention_multiplier": 0.2,
        "logits_scaling": 4.0,
    },
    "glm4_moe": ROUTED | {"num_hidden_layers": 3, "use_qk_norm": True, "attention_bias": True},
}


def config(family: str, **changes: Any) -> dict[str, Any]:
    whole = toy_native.config(family, **CONFIGS[family] | changes)
    return {name: value for name, value in whole.items() if value is not None}


def matrix(rng: np.random.Generator, form: Form, n: int, k: int, size: float = 0.02) -> Matrix:
    """toy_native's, and FP4's too: powers of two about `size`, times any of the 16 values."""
    if form != E2M1:
        return toy_native.matrix(rng, form, n, k, size)
    middle = 127 + round(np.log2(size / 3))
    return Matrix(
        form=form,
        codes=rng.integers(0, 16, (n, k)).astype(np.uint8),
        scale=rng.integers(middle - 1, middle + 2, (n, -(-k // 32))).astype(np.uint8),
    )


def tensors(c: dict[str, Any], form: Form, seed: int = 0) -> dict[str, Any]:
    """As toy_native's, with stacks as lists; of dense families toy_native's own."""
    if c["model_type"] not in CONFIGS:
        return toy_native.tensors(c, form, seed)
    rng = np.random.default_rng(seed)
    return {name: _one(rng, name, shape, form) for name, shape in models.tensors_of(c).items()}


def _one(rng: np.random.Generator, name: str, shape: tuple[int, ...], form: Form) -> Any:
    if len(shape) == 3:
        return [matrix(rng, form, *shape[1:], 0.15) for _ in range(shape[0])]
    if len(shape) == 1 or name.endswith(".bias"):
        centre = 1.0 if "norm" in name else 0.0
        values: NDArray[np.float32] = centre + 0.1 * rng.standard_normal(shape)
        return values.astype(np.float32)
    if name.endswith(ROUTERS):
        return matrix(rng, weight.BF16, *shape, 0.15)
    if name == "model.embed_tokens.weight":
        return matrix(rng, FORMS["int8"], *shape, 0.5)
    return matrix(rng, form, *shape, 0.2 if name == "lm_head.weight" else 0.15)
