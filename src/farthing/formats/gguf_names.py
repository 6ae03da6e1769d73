"""GGUF's tensor names -> ours, architecture by architecture. Knows no shapes."""

import re

PERMUTED = {"llama", "deepseek", "granitemoe"}
"""Architectures whose files hold the rows of q and k for interleaved rotation.

deepseek2 rotates interleaved pairs too, but was trained so: its rows stay as they are.
"""
FREQUENCIES = "rope_freqs.weight"

_TOP = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_DENSE = {
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
_ROUTED = _DENSE | {
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
    "ffn_gate_up_exps": "mlp.experts.gate_up_proj",
}
_SHARED = {
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj",
    "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj",
}
_GATED = {
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
}
_LATENT = {
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm",
    "attn_kv_b": "self_attn.kv_b_proj",
    "attn_k_b": "self_attn.k_b_proj",
    "attn_v_b": "self_attn.v_b_proj",
}
_CORRECTED = {"exp_probs_b.bias": "mlp.gate.e_score_correction_bias"}
_AFTER = {"post_attention_norm": "post_attention_layernorm"}
_SUNK = {"attn_sinks.weight": "self_attn.sinks"}

_LAYER: dict[str, dict[str, str]] = {
    "llama": _ROUTED,
    "qwen2": _DENSE,
    "qwen3": _DENSE,
    "qwen2moe": _ROUTED | _GATED,
    "qwen3moe": _ROUTED,
    "olmoe": _ROUTED,
    "deepseek": _ROUTED | _SHARED,
    "deepseek2": _ROUTED | _SHARED | _LATENT | _CORRECTED,
    "glm4moe": _ROUTED | _SHARED | _CORRECTED | _AFTER,
    "gpt-oss": _ROUTED | _AFTER | _SUNK,
    "granitemoe": _ROUTED,
}


def layer_of(name: str) -> int | None:
    """The layer that a tensor belongs to, or None if it is of the model's top or unheard of."""
    found = re.match(r"blk\.(0|[1-9]\d{0,4})\.", name)
    return int(found[1]) if found else None


def name_for_gguf(architecture: str, ours: str) -> str | None:
    """The file's name of one of our tensors, or None if the architecture has none such."""
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", ours)
    known, stem = (_LAYER[architecture], layer[2]) if layer else (_TOP, ours)
    head = f"blk.{layer[1]}." if layer else ""
    whole = {theirs: name for name, theirs in known.items()}
    if stem in whole:
        return head + whole[stem]
    stem, _, kind = stem.rpartition(".")
    return f"{head}{whole[stem]}.{kind}" if stem in whole else None


def name_from_gguf(architecture: str, name: str) -> str | None:
    """Our name of a tensor, or None if the architecture has none such."""
    layer = re.fullmatch(r"blk\.(0|[1-9]\d{0,4})\.((\w+)\.(weight|bias))", name)
    if layer:
        known = _LAYER[architecture]
        ours = known.get(layer[2]) or (layer[3] in known and f"{known[layer[3]]}.{layer[4]}")
        return f"model.layers.{layer[1]}.{ours}" if ours else None
    top = re.fullmatch(r"(\w+)\.(weight|bias)", name)
    return f"{_TOP[top[1]]}.{top[2]}" if top and top[1] in _TOP else None
