"""config.json's keys -> GGUF's, for the architectures that are written; `gguf_config` backwards.

What llama.cpp does without asking is checked here: what a config says otherwise is refused.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.gguf_rope import llama3_factors

ARCHITECTURES = {
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen2": "qwen2",
    "qwen2_moe": "qwen2moe",
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3moe",
}
"""model_type -> the architecture whose file it becomes."""
_ALWAYS: dict[str, dict[str, tuple[Any, ...]]] = {
    "llama": {},
    "mistral": {"sliding_window": (None,)},
    "mixtral": {"sliding_window": (None,)},
    "qwen2": {"use_sliding_window": (None, False)},
    "qwen3": {"use_sliding_window": (None, False)},
    "qwen2_moe": {
        "use_sliding_window": (None, False),
        "norm_topk_prob": (None, False),
        "decoder_sparse_step": (None, 1),
        "mlp_only_layers": (None, []),
    },
    "qwen3_moe": {
        "use_sliding_window": (None, False),
        "norm_topk_prob": (True,),
        "decoder_sparse_step": (None, 1),
        "mlp_only_layers": (None, []),
    },
}
_TRAINED = "original_max_position_embeddings"
_PLAIN = {"rope_type", "type", "factor", "rope_theta"}
_KNOWN = {
    "linear": _PLAIN,
    "yarn": _PLAIN | {_TRAINED, "beta_fast", "beta_slow"},
}
_SIZES = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
}


def architecture(config: Mapping[str, Any]) -> str:
    """Raises FormatError for a family that is not written, or that llama.cpp would run wrongly."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise FormatError(
            f"models of type {kind!r:.80} are not written as GGUF; written are"
            f" {', '.join(ARCHITECTURES)}. Write it packed instead"
        )
    always = _ALWAYS[kind] | {"hidden_act": (None, "silu"), "partial_rotary_factor": (None, 1, 1.0)}
    for name, values in always.items():
        if config.get(name) not in values:
            raise FormatError(
                f"config.json: {name} is {config.get(name)!r:.80}; llama.cpp runs {kind} with"
                f" {values[-1]!r} alone"
            )
    return ARCHITECTURES[kind]


def pairs(config: Mapping[str, Any], head_dim: int) -> dict[str, Any]:
    """Every key but those of the vocabulary. Raises FormatError as `architecture` does, and for a
    scaling of the rotation that GGUF has no keys for."""
    name = architecture(config)
    sizes = {key: _whole(config, theirs) for key, theirs in _SIZES.items()}
    made: dict[str, Any] = {
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", 1e-6)),
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
        "rope.dimension_count": head_dim,
        "rope.freq_base": _theta(config),
        "vocab_size": _whole(config, "vocab_size"),
    }
    found = sizes | made | _experts(config) | _scaling(config)
    return {"general.architecture": name} | {f"{name}.{key}": one for key, one in found.items()}


def frequencies(config: Mapping[str, Any], head_dim: int) -> NDArray[np.float32] | None:
    """What divides each frequency, [head_dim / 2], where it comes as a tensor (llama3)."""
    scaling = _rope(config)
    if scaling.get("rope_type", scaling.get("type")) != "llama3":
        return None
    if architecture(config) != "llama":
        raise FormatError("config.json: llama3's rope_scaling, which llama.cpp has for llama alone")
    for name in ("factor", "low_freq_factor", "high_freq_factor", _TRAINED):
        if not isinstance(scaling.get(name), int | float):
            raise FormatError(f"config.json: rope {name} is {scaling.get(name)!r:.80}, no number")
    return llama3_factors(_theta(config), head_dim // 2, scaling).astype(np.float32)


def _experts(config: Mapping[str, Any]) -> dict[str, Any]:
    count = config.get("num_experts", config.get("num_local_experts"))
    if not config["model_type"].endswith("moe") and config["model_type"] != "mixtral":
        return {}
    made = {"expert_count": count, "expert_used_count": _whole(config, "num_experts_per_tok")}
    if config["model_type"] != "mixtral":
        made["expert_feed_forward_length"] = _whole(config, "moe_intermediate_size")
    if config["model_type"] == "qwen2_moe":
        shared = _whole(config, "shared_expert_intermediate_size")
        made["expert_shared_feed_forward_length"] = shared
    return made


def _scaling(config: Mapping[str, Any]) -> dict[str, Any]:
    scaling = _rope(config)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    turned = scaling.get("partial_rotary_factor") in (None, 1, 1.0)
    if kind in ("default", "llama3") and turned:
        return {}
    factor = scaling.get("factor")
    told = {name for name, value in scaling.items() if value is not None}
    if kind not in _KNOWN or told - _KNOWN[kind] or not isinstance(factor, int | float):
        raise FormatError(
            f"config.json: the rotation is scaled by {dict(scaling)!r:.160}, which GGUF has no keys"
            f" for; write it packed instead"
        )
    made: dict[str, Any] = {"rope.scaling.type": kind, "rope.scaling.factor": float(factor)}
    if kind == "yarn":
        length = scaling.get(_TRAINED) or _whole(config, "max_position_embeddings")
        made["rope.scaling.original_context_length"] = int(length)
        made["rope.scaling.yarn_beta_fast"] = float(scaling.get("beta_fast") or 32)
        made["rope.scaling.yarn_beta_slow"] = float(scaling.get("beta_slow") or 1)
    return made


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(found, dict):
        raise FormatError(f"config.json: rope_scaling is {found!r:.80}; an object expected")
    trained = config.get(_TRAINED)
    return found if trained is None else found | {_TRAINED: trained}


def _theta(config: Mapping[str, Any]) -> float:
    return float(_rope(config).get("rope_theta") or config.get("rope_theta") or 10000.0)


def _whole(config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if name == "num_key_value_heads" and value is None:
        value = config.get("num_attention_heads")
    if type(value) is not int or not 0 < value < 1 << 31:
        raise FormatError(f"config.json: {name} is {value!r:.80}; a whole number expected")
    return value
