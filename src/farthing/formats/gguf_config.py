"""GGUF metadata -> Hugging Face's config.json keys.

Knows the architectures that models/ runs; refuses the others by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farthing.errors import FormatError
from farthing.formats.gguf_keys import CLASSES, Keys
from farthing.formats.gguf_mixture import MIXTURES
from farthing.formats.gguf_rope import scaling_from_gguf

_REFUSED = (
    "logit_scale",
    "embedding_scale",
    "residual_scale",
    "attention.scale",
    "attention.clamp_kqv",
    "attention.temperature_scale",
    "attention.key_length_swa",
    "attention.shared_kv_layers",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "router_logit_softcapping",
    "rope.dimension_sections",
    "expert_group_scale",
    "moe_latent_size",
    "swiglu_clamp_exp",
    "swiglu_clamp_shexp",
)
"""Keys that change what is computed, in ways models/ does not know. Zero means unused."""
_UNDERSTOOD = {
    "granitemoe": ("logit_scale", "embedding_scale", "residual_scale", "attention.scale"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is not in the keys, but shows in the tensors.

    The embedding's rows; whether there is no output of its own, a bias on the queries, a norm on
    them.
    """

    vocabulary: int
    tied: bool
    bias: bool
    normed: bool


def config_from_gguf(where: str, metadata: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
    """config.json's keys. Raises FormatError naming the key that is missing or not understood."""
    keys = Keys(where, metadata)
    mixture = keys.architecture in MIXTURES and (
        keys.architecture != "llama" or keys.whole("expert_count", 0) > 0
    )
    _refuse(keys, mixture=mixture)
    config = _common(keys, shown)
    if mixture:
        config |= MIXTURES[keys.architecture](keys, config)
    if keys.architecture != "deepseek2":
        config |= _heads(keys, config)
    if keys.architecture == "glm4moe":
        config["use_qk_norm"] = shown.normed
    scaling = scaling_from_gguf(keys, config["max_position_embeddings"])
    if scaling or keys.architecture == "gpt-oss":  # a config without any has YaRN there
        scaling = scaling or {"rope_type": "default"}
        config["rope_scaling"] = scaling
    if not mixture:
        config |= _window(keys)
    return config | special_tokens(metadata)


def _common(keys: Keys, shown: Shown) -> dict[str, Any]:
    heads = keys.whole("attention.head_count", most=1 << 16)
    width = keys.whole("embedding_length")
    if not heads or not width:
        raise FormatError(
            f"{keys.where}: {heads} heads and a width of {width}; both must be positive"
        )
    blocks = keys.whole("block_count", most=1 << 16)
    predicting = keys.whole("nextn_predict_layers", 0)
    if predicting >= max(blocks, 1):
        raise keys.refusal("nextn_predict_layers", f"{predicting}, of {blocks} layers in all")
    config = {
        "architectures": [CLASSES[keys.architecture]],
        "model_type": keys.architecture,
        "vocab_size": shown.vocabulary,
        "hidden_size": width,
        "intermediate_size": keys.whole("feed_forward_length"),
        "num_hidden_layers": blocks - predicting,
        "num_attention_heads": heads,
        "num_key_value_heads": keys.whole("attention.head_count_kv", heads, most=1 << 16),
        "hidden_act": "silu",
        "rms_norm_eps": keys.positive("attention.layer_norm_rms_epsilon"),
        "rope_theta": keys.positive("rope.freq_base", 10000.0),
        "max_position_embeddings": keys.whole("context_length"),
        "tie_word_embeddings": shown.tied,
        "attention_bias": shown.bias,
    }
    return config | ({"num_nextn_predict_layers": predicting} if predicting else {})


def _heads(keys: Keys, config: Mapping[str, Any]) -> dict[str, Any]:
    """How wide a head is, and for GLM how much of it is turned."""
    head = keys.whole(
        "attention.key_length", config["hidden_size"] // config["num_attention_heads"], least=1
    )
    checked = {"attention.value_length": head, "rope.dimension_count": head}
    found: dict[str, Any] = {"head_dim": head}
    if keys.architecture == "glm4moe":
        turned = keys.whole("rope.dimension_count", head, least=1)
        checked["rope.dimension_count"] = turned
        if turned > head:
            raise keys.refusal("rope.dimension_count", f"{turned}, and heads are {head} wide")
        found["partial_rotary_factor"] = turned / head
    for key, expected in checked.items():
        if keys.whole(key, expected) != expected:
            raise FormatError(
                f"{keys.where}: {keys.architecture}.{key} is {keys.whole(key)}, and heads are"
                f" {head} wide; other widths than the head's are not supported"
            )
    return found


def _window(keys: Keys) -> dict[str, Any]:
    """A sliding window makes a llama file Mistral's; with the other dense ones no file has one."""
    window = keys.whole("attention.sliding_window", 0)
    if not window:
        return {}
    if keys.architecture != "llama":
        raise FormatError(f"{keys.where}: {keys.architecture} with a sliding window of {window}")
    return {
        "model_type": "mistral",
        "architectures": ["MistralForCausalLM"],
        "sliding_window": window,
    }


def _refuse(keys: Keys, *, mixture: bool) -> None:
    refused = _REFUSED if mixture else (*_REFUSED, "expert_count")
    for key in refused:
        if key in keys and key not in _UNDERSTOOD.get(keys.architecture, ()) and keys.real(key):
            raise FormatError(
                f"{keys.where}: {keys.architecture}.{key} is {keys.real(key):g}; such"
                f" models are not supported"
            )
    if "attention.causal" in keys and not keys.flag("attention.causal", True):
        raise FormatError(f"{keys.where}: attention is not causal; this is no text generator")
    if keys.metadata.get("split.count", 0) not in (0, 1):
        raise FormatError(
            f"{keys.where}: one part of {keys.metadata['split.count']};"
            " join them first (llama-gguf-split --merge)"
        )


def special_tokens(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """bos, eos and pad ids of the vocabulary, as far as they are named."""
    found = {
        f"{name}_token_id": metadata.get(f"tokenizer.ggml.{key}_token_id")
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    return {key: value for key, value in found.items() if isinstance(value, int)}


def generation_from_gguf(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """generation_config.json: the ids, every one that ends an answer among `eos_token_id`."""
    ids = special_tokens(metadata)
    stops = [metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom")]
    known = [stop for stop in dict.fromkeys(stops) if isinstance(stop, int)]
    if len(known) > 1:
        ids["eos_token_id"] = known
    return ids
