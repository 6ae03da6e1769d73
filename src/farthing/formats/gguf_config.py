"""GGUF metadata and tensor names -> Hugging Face's config.json keys and tensor names.

Knows the architectures that models/ runs; refuses the others by name.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError

CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
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
MOST_REAL = 1e30
_KINDS: dict[Any, str] = {str: "a text", int: "a whole number", (int, float): "a number"}


def name_from_gguf(name: str) -> str | None:
    """Hugging Face's name of a tensor, or None if no name is known."""
    layer = re.fullmatch(r"blk\.(0|[1-9]\d{0,4})\.(\w+)\.(weight|bias)", name)
    if layer and layer[2] in _LAYER:
        return f"model.layers.{layer[1]}.{_LAYER[layer[2]]}.{layer[3]}"
    top = re.fullmatch(r"(\w+)\.(weight|bias)", name)
    return f"{_TOP[top[1]]}.{top[2]}" if top and top[1] in _TOP else None


class Keys:
    """Typed access to `<architecture>.<key>`, and errors that name it."""

    def __init__(self, where: str, metadata: Mapping[str, Any]) -> None:
        self.where, self.metadata = where, metadata
        self.architecture = self._of_type("general.architecture", str)
        if self.architecture not in CLASSES:
            raise FormatError(
                f"{where}: architecture {self.architecture[:80]!r} is not known;"
                f" known are {', '.join(CLASSES)}"
            )

    def __contains__(self, key: str) -> bool:
        return f"{self.architecture}.{key}" in self.metadata

    def text(self, key: str, default: str) -> str:
        return str(self._of_type(f"{self.architecture}.{key}", str, default))

    def whole(self, key: str, default: int | None = None, most: int = 1 << 31) -> int:
        value = self._of_type(f"{self.architecture}.{key}", int, default)
        if isinstance(value, bool) or not 0 <= value < most:
            raise FormatError(f"{self.where}: {self.architecture}.{key} is {value!r}")
        return int(value)

    def real(self, key: str, default: float | None = None) -> float:
        """A finite number. One stored as fp32 gives what its shortest decimal says: 1e-05."""
        value = self._of_type(f"{self.architecture}.{key}", (int, float), default)
        if isinstance(value, bool) or not abs(value) < MOST_REAL:
            raise FormatError(f"{self.where}: {self.architecture}.{key} is {value!r:.80}")
        narrow = np.float32(value)
        return float(str(narrow)) if float(narrow) == value else float(value)

    def positive(self, key: str, default: float | None = None) -> float:
        value = self.real(key, default)
        if value <= 0:
            raise FormatError(f"{self.where}: {self.architecture}.{key} is {value:g}, not positive")
        return value

    def _of_type(self, key: str, kind: Any, default: Any = None) -> Any:
        value = self.metadata.get(key, default)
        if isinstance(value, list) and value and value.count(value[0]) == len(value):
            value = value[0]  # one number a layer, all equal
        if not isinstance(value, kind):
            shown = "missing" if value is None else f"{value!r:.80}"
            raise FormatError(f"{self.where}: {key} is {shown}; {_KINDS[kind]} expected")
        return value


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


def scaling_from_gguf(keys: Keys, context: int) -> dict[str, Any] | None:
    """`rope_scaling` from the keys (llama3's comes as a tensor: `llama3_from_factors`)."""
    kind = keys.text("rope.scaling.type", "none")
    factor = keys.real("rope.scaling.factor", keys.real("rope.scale_linear", 1.0))
    if kind == "none" and "rope.scale_linear" in keys:
        kind = "linear"
    if kind == "none" or (kind == "linear" and factor in (0.0, 1.0)):
        return None
    if kind == "linear" and factor > 0:
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        return _yarn(keys, factor, context)
    raise FormatError(
        f"{keys.where}: {keys.architecture}.rope.scaling is {kind[:80]!r} by"
        f" {factor:g}; known are none, linear and yarn by a positive factor"
    )


def _yarn(keys: Keys, factor: float, context: int) -> dict[str, Any]:
    if factor < 1:
        raise FormatError(f"{keys.where}: rope.scaling.factor is {factor:g}; from 1 expected")
    original = keys.whole("rope.scaling.original_context_length", int(context / factor))
    found = {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": original,
        "beta_fast": keys.real("rope.scaling.yarn_beta_fast", 32.0),
        "beta_slow": keys.real("rope.scaling.yarn_beta_slow", 1.0),
    }
    for key, neutral in (("attn_factor", 1.0), ("yarn_attn_factor", 1.0), ("yarn_ext_factor", 1.0)):
        if keys.real(f"rope.scaling.{key}", neutral) != neutral:
            raise FormatError(f"{keys.where}: rope.scaling.{key} is not {neutral:g}: not supported")
    if keys.real("rope.scaling.yarn_log_multiplier", 0.0):
        raise FormatError(f"{keys.where}: rope.scaling.yarn_log_multiplier is not supported")
    return found


def llama3_from_factors(
    where: str, factors: NDArray[np.float32], config: Mapping[str, Any]
) -> dict[str, Any]:
    """`rope_scaling` that gives exactly these divisors of the frequencies.

    llama.cpp stores llama3 scaling as one divisor a frequency; the parameters are not kept. Only
    one set of them is in use besides the factor, so it is tried, and must give what the file has.
    """
    half = config["head_dim"] // 2
    factor = float(np.round(factors.max(), 4))
    found = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    if factors.shape == (half,) and np.all(np.isfinite(factors)) and factor >= 1:
        expected = llama3_factors(config["rope_theta"], half, found)
        if np.allclose(factors, expected, rtol=1e-4, atol=0):
            return found
    raise FormatError(
        f"{where}: rope_freqs.weight is not llama3 scaling as Llama 3.1 to 3.3 have it"
        " (low 1, high 4, original length 8192); other frequency tables are not supported"
    )


def llama3_factors(theta: float, half: int, scaling: Mapping[str, Any]) -> NDArray[np.float64]:
    """By what each of `half` frequencies is divided."""
    wavelength = 2 * np.pi * np.power(theta, np.arange(half) / half)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] / wavelength
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: NDArray[np.float64] = 1 / ((1 - smooth) / scaling["factor"] + smooth)
    return factors
