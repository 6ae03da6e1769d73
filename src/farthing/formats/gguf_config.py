"""GGUF metadata and tensor names -> Hugging Face's config.json keys and tensor names.

Knows the architectures that models/ runs; refuses the others by name.
"""

import re
from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.formats.gguf_keys import CLASSES, Keys
from farthing.formats.gguf_rope import scaling_from_gguf

PERMUTED = {"llama"}
"""Architectures whose files hold the rows of q and k for interleaved rotation."""

_TOP = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_REFUSED = (
    "expert_count",
    "logit_scale",
    "embedding_scale",
    "residual_scale",
    "attention.scale",
    "attention.clamp_kqv",
    "attn_logit_softcapping",
    "final_logit_softcapping",
)
"""Keys that change what is computed, in ways models/ does not know. Zero means unused."""


def name_from_gguf(name: str) -> str | None:
    """Hugging Face's name of a tensor, or None if no name is known."""
    layer = re.fullmatch(r"blk\.(0|[1-9]\d{0,4})\.(\w+)\.(weight|bias)", name)
    if layer and layer[2] in _LAYER:
        return f"model.layers.{layer[1]}.{_LAYER[layer[2]]}.{layer[3]}"
    top = re.fullmatch(r"(\w+)\.(weight|bias)", name)
    return f"{_TOP[top[1]]}.{top[2]}" if top and top[1] in _TOP else None


def config_from_gguf(
    where: str, metadata: Mapping[str, Any], *, vocabulary: int, tied: bool, bias: bool
) -> dict[str, Any]:
    """config.json's keys. `vocabulary` is the embedding's rows; the rest is what the tensors show.

    Raises FormatError naming the key that is missing or not understood.
    """
    keys = Keys(where, metadata)
    _refuse(keys)
    heads = keys.whole("attention.head_count", most=1 << 16)
    width = keys.whole("embedding_length")
    if not heads or not width:
        raise FormatError(f"{where}: {heads} heads and a width of {width}; both must be positive")
    head = keys.whole("attention.key_length", width // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if keys.whole(key, head) != head:
            raise FormatError(
                f"{where}: {keys.architecture}.{key} is {keys.whole(key)}, and heads are {head}"
                f" wide; other widths than the head's are not supported"
            )
    config: dict[str, Any] = {
        "architectures": [CLASSES[keys.architecture]],
        "model_type": keys.architecture,
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": keys.whole("feed_forward_length"),
        "num_hidden_layers": keys.whole("block_count", most=1 << 16),
        "num_attention_heads": heads,
        "num_key_value_heads": keys.whole("attention.head_count_kv", heads, most=1 << 16),
        "head_dim": head,
        "hidden_act": "silu",
        "rms_norm_eps": keys.positive("attention.layer_norm_rms_epsilon"),
        "rope_theta": keys.positive("rope.freq_base", 10000.0),
        "max_position_embeddings": keys.whole("context_length"),
        "tie_word_embeddings": tied,
        "attention_bias": bias,
    }
    scaling = scaling_from_gguf(keys, config["max_position_embeddings"])
    if scaling:
        config["rope_scaling"] = scaling
    return config | _window(keys) | special_tokens(metadata)


def _window(keys: Keys) -> dict[str, Any]:
    """A sliding window makes a llama file Mistral's; with the others no file has one."""
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


def _refuse(keys: Keys) -> None:
    for key in _REFUSED:
        if key in keys and keys.real(key):
            raise FormatError(
                f"{keys.where}: {keys.architecture}.{key} is {keys.real(key):g}; such"
                f" models are not supported"
            )
    if "attention.causal" in keys and not keys.metadata[f"{keys.architecture}.attention.causal"]:
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
