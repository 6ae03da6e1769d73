"""GGUF metadata of mixtures of experts and of latent attention -> config.json's keys.

Each family has its own words for the same things in config.json; GGUF has one set for all, and
leaves out what a family always does.
"""

from collections.abc import Callable, Mapping
from typing import Any

from farthing.formats.gguf_keys import Keys

Config = dict[str, Any]

SCORES = {1: "softmax", 2: "sigmoid", 3: "softmax of the chosen"}
"""`expert_gating_func`; where it is absent, the family's own."""

_GROUPS_BEFORE_THE_KEYS = {(256, 61, 7168): (8, 4), (160, 60, 5120): (8, 3)}
"""DeepSeek-V3 and V2 by experts, layers, width: groups, and how many of them are used.

Their older files have no `expert_group_count`, and llama.cpp ran them without groups.
"""


def _qwen3(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax")
    return {
        "model_type": "qwen3_moe",
        "moe_intermediate_size": _inner(keys),
        "norm_topk_prob": keys.flag("expert_weights_norm", True),
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    } | _counts(keys, "num_experts")


def _qwen2(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax")
    return {
        "model_type": "qwen2_moe",
        "moe_intermediate_size": _inner(keys),
        "shared_expert_intermediate_size": keys.whole("expert_shared_feed_forward_length", 0)
        or config["intermediate_size"],
        "norm_topk_prob": keys.flag("expert_weights_norm", False),
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "qkv_bias": config["attention_bias"],
    } | _counts(keys, "num_experts")


def _mixtral(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax")
    return {
        "model_type": "mixtral",
        "architectures": ["MixtralForCausalLM"],
        "sliding_window": keys.whole("attention.sliding_window", 0) or None,
        "intermediate_size": keys.whole("expert_feed_forward_length", config["intermediate_size"]),
    } | _counts(keys, "num_local_experts")


def _olmoe(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax")
    return {
        "model_type": "olmoe",
        "intermediate_size": keys.whole("expert_feed_forward_length", config["intermediate_size"]),
        "norm_topk_prob": keys.flag("expert_weights_norm", False),
        "clip_qkv": None,
    } | _counts(keys, "num_experts")


def _granite(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax")
    if not keys.flag("rope.scaling.finetuned", True):  # llama.cpp's switch for this family
        raise keys.refusal("rope.scaling.finetuned", "false: without positions; not supported")
    if shared := keys.whole("expert_shared_feed_forward_length", 0):
        raise keys.refusal("expert_shared_feed_forward_length", f"{shared}; known without only")
    head = keys.whole(
        "attention.key_length", config["hidden_size"] // config["num_attention_heads"]
    )
    return {
        "model_type": "granitemoe",
        "attention_multiplier": keys.real("attention.scale", 0.0) or max(head, 1) ** -0.5,
        "embedding_multiplier": keys.factor("embedding_scale"),
        "residual_multiplier": keys.factor("residual_scale"),
        "logits_scaling": keys.factor("logit_scale"),
    } | _counts(keys, "num_local_experts")


def _gpt_oss(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax of the chosen")
    base = config["rope_theta"]
    if keys.positive("rope.freq_base_swa", base) != base:
        raise keys.refusal("rope.freq_base_swa", f"not {base:g}, as rope.freq_base is")
    return {
        "model_type": "gpt_oss",
        "intermediate_size": keys.whole("expert_feed_forward_length"),
        "sliding_window": keys.whole("attention.sliding_window", least=1),
        "layer_types": _kinds(keys, config["num_hidden_layers"]),
        "swiglu_limit": 7.0,
    } | _counts(keys, "num_local_experts")


def _kinds(keys: Keys, layers: int) -> list[str]:
    """Every second layer sees all, if the pattern says nothing else: the first has a window."""
    key = "attention.sliding_window_pattern"
    found = keys.metadata.get(f"{keys.architecture}.{key}", 2)
    if found == 2 and not isinstance(found, bool):
        found = [i % 2 == 0 for i in range(layers)]
    if not isinstance(found, list) or len(found) != layers or set(found) - {True, False}:
        raise keys.refusal(key, f"{found!r:.80}; 2 expected, or true or false for each layer")
    return ["sliding_attention" if slides else "full_attention" for slides in found]


def _deepseek(keys: Keys, config: Mapping[str, Any]) -> Config:
    _fixed(keys, "softmax", scaled=True)
    return {
        "model_type": "deepseek",
        "norm_topk_prob": keys.flag("expert_weights_norm", False),
        "scoring_func": "softmax",
        "routed_scaling_factor": keys.factor("expert_weights_scale"),
    } | _shared(keys)


def _glm4(keys: Keys, config: Mapping[str, Any]) -> Config:
    _score(keys, "sigmoid", "sigmoid")
    groups, used = _groups(keys, (1, 1))
    return {
        "model_type": "glm4_moe",
        "norm_topk_prob": keys.flag("expert_weights_norm", False),
        "routed_scaling_factor": keys.factor("expert_weights_scale"),
        "n_group": groups,
        "topk_group": used,
    } | _shared(keys)


def _deepseek2(keys: Keys, config: Mapping[str, Any]) -> Config:
    """V3 and its kin score by sigmoid, V2 by softmax; nothing else in the keys tells them apart."""
    score = _score(keys, "softmax", "softmax", "sigmoid")
    shape = (keys.whole("expert_count"), config["num_hidden_layers"], config["hidden_size"])
    groups, used = _groups(keys, _GROUPS_BEFORE_THE_KEYS.get(shape, (1, 1)))
    found: Config = {
        "scoring_func": score,
        "norm_topk_prob": keys.flag("expert_weights_norm", False),
        "routed_scaling_factor": keys.factor("expert_weights_scale"),
        "n_group": groups,
        "topk_group": used,
        # llama.cpp's one head of keys is the latent; config.json counts the heads it serves
        "num_key_value_heads": config["num_attention_heads"],
    }
    if score == "sigmoid":
        found |= {"model_type": "deepseek_v3", "topk_method": "noaux_tc"}
    else:
        method = "greedy" if groups == 1 else "group_limited_greedy"
        found |= {"model_type": "deepseek_v2", "topk_method": method}
        found["architectures"] = ["DeepseekV2ForCausalLM"]
    return found | _latent(keys) | _shared(keys)


def _latent(keys: Keys) -> Config:
    """Widths of a head. Files of before the latent was cached have them under the plain keys."""
    rope = keys.whole("rope.dimension_count", least=1)
    suffix = "_mla" if "attention.key_length_mla" in keys else ""
    key = keys.whole(f"attention.key_length{suffix}")
    if key <= rope:
        raise keys.refusal(f"attention.key_length{suffix}", f"{key}, of which {rope} are turned")
    return {
        "q_lora_rank": keys.whole("attention.q_lora_rank", 0) or None,
        "kv_lora_rank": keys.whole("attention.kv_lora_rank", least=1),
        "qk_rope_head_dim": rope,
        "qk_nope_head_dim": key - rope,
        "v_head_dim": keys.whole(f"attention.value_length{suffix}", least=1),
    }


def _shared(keys: Keys) -> Config:
    return {
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "n_shared_experts": keys.whole("expert_shared_count"),
        "first_k_dense_replace": keys.whole("leading_dense_block_count", 0),
        "moe_layer_freq": 1,
    } | _counts(keys, "n_routed_experts")


def _counts(keys: Keys, name: str) -> Config:
    count, used = keys.whole("expert_count", least=1), keys.whole("expert_used_count", least=1)
    if used > count:
        raise keys.refusal("expert_used_count", f"{used}, and there are {count} experts")
    return {name: count, "num_experts_per_tok": used}


def _inner(keys: Keys) -> int:
    """The width of an expert. Absent from old files: all that are used make the MLP's."""
    return keys.whole("expert_feed_forward_length", 0) or (
        keys.whole("feed_forward_length") // keys.whole("expert_used_count", least=1)
    )


def _score(keys: Keys, default: str, *known: str) -> str:
    found = keys.whole("expert_gating_func", 0)
    score = SCORES.get(found, "unknown") if found else default
    if score not in known:
        names = ", ".join(f"{n} ({name})" for n, name in SCORES.items() if name in known)
        raise keys.refusal("expert_gating_func", f"{found} ({score}); known for this are {names}")
    return score


def _groups(keys: Keys, default: tuple[int, int]) -> tuple[int, int]:
    groups = keys.whole("expert_group_count", 0) or default[0]
    used = keys.whole("expert_group_used_count", 0) or default[1]
    if keys.whole("expert_count", 0) % groups or used > groups:
        raise keys.refusal(
            "expert_group_count", f"{groups}, {used} of them used, of {keys.whole('expert_count')}"
        )
    return groups, used


def _fixed(keys: Keys, score: str, *, scaled: bool = False) -> None:
    """Refuses what config.json of these families has no word for."""
    _score(keys, score, score)
    if _groups(keys, (1, 1)) != (1, 1):
        raise keys.refusal("expert_group_count", f"{keys.whole('expert_group_count')}; 1 expected")
    if not scaled and keys.factor("expert_weights_scale") != 1:
        raise keys.refusal(
            "expert_weights_scale", f"{keys.real('expert_weights_scale'):g}; 1 expected"
        )


MIXTURES: dict[str, Callable[[Keys, Mapping[str, Any]], Config]] = {
    "llama": _mixtral,
    "qwen3moe": _qwen3,
    "qwen2moe": _qwen2,
    "olmoe": _olmoe,
    "deepseek": _deepseek,
    "deepseek2": _deepseek2,
    "glm4moe": _glm4,
    "gpt-oss": _gpt_oss,
    "granitemoe": _granite,
}
"""By architecture: what is in config.json beyond a dense decoder's, or other than there.

A llama file is a mixture where it has experts.
"""
