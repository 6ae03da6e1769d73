"""Small GGUF files of mixtures of experts, as llama.cpp's converter would write them.

From a config.json and tensors by our names: the way back from what the reader does, written apart
from it. By hand it was held to llama.cpp itself, whose logits on these files are transformers' own.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

Arrays = dict[str, np.ndarray[Any, np.dtype[np.float32]]]

ARCHITECTURES = {
    "mixtral": "llama",
    "qwen3_moe": "qwen3moe",
    "qwen2_moe": "qwen2moe",
    "olmoe": "olmoe",
    "deepseek": "deepseek",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "glm4_moe": "glm4moe",
    "gpt_oss": "gpt-oss",
    "granitemoe": "granitemoe",
}
PERMUTED = ("llama", "deepseek", "granitemoe")
STEMS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.q_a_proj": "attn_q_a",
    "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "self_attn.k_b_proj": "attn_k_b",
    "self_attn.v_b_proj": "attn_v_b",
    "mlp.gate": "ffn_gate_inp",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.experts.gate_proj": "ffn_gate_exps",
    "mlp.experts.up_proj": "ffn_up_exps",
    "mlp.experts.down_proj": "ffn_down_exps",
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}


def stem_of(name: str, architecture: str) -> str:
    """The file's name of one of ours."""
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.*)", name)
    head, rest = (f"blk.{layer[1]}.", layer[2]) if layer else ("", name)
    if rest == "self_attn.sinks":
        return f"{head}attn_sinks.weight"
    if rest == "mlp.gate.e_score_correction_bias":
        return f"{head}exp_probs_b.bias"
    stem, _, kind = rest.rpartition(".")
    if shared := re.fullmatch(r"mlp\.shared_experts?\.(gate|up|down)_proj", stem):
        return f"{head}ffn_{shared[1]}_shexp.{kind}"
    if stem == "post_attention_layernorm" and architecture in ("glm4moe", "gpt-oss"):
        return f"{head}post_attention_norm.{kind}"
    return f"{head}{STEMS[stem]}.{kind}"


def interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """How llama.cpp's converter orders the rows of q and k: pairs i and i + d/2 side by side."""
    d = len(rows) // heads
    order = [h * d + i + s * d // 2 for h in range(heads) for i in range(d // 2) for s in (0, 1)]
    return rows[order]


def tensors_of(config: Mapping[str, Any], ours: Arrays) -> Arrays:
    """The file's tensors by their names."""
    architecture, found = ARCHITECTURES[config["model_type"]], {}
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    for name, array in ours.items():
        stem = name.split(".")[-2]
        if stem in heads and architecture in PERMUTED:
            array = interleaved(array, config[heads[stem]])
        if stem == "shared_expert_gate":
            array = array[0]
        found[stem_of(name, architecture)] = array
    return found


def unsplit(found: Arrays) -> Arrays:
    """As files of before the split have them: one `kv_b`, each head's keys and then its values."""
    made = {}
    for name, array in found.items():
        if name.endswith("attn_k_b.weight"):
            values = found[name.replace("k_b", "v_b")]
            heads = np.concatenate([array.swapaxes(1, 2), values], 1)
            made[name.replace("k_b", "kv_b")] = heads.reshape(-1, heads.shape[2])
        elif not name.endswith("attn_v_b.weight"):
            made[name] = array
    return made


def fused(found: Arrays) -> Arrays:
    """Gate and up of each expert in one tensor."""
    made = {}
    for name, array in found.items():
        if name.endswith("ffn_gate_exps.weight"):
            up = found[name.replace("gate", "up")]
            made[name.replace("gate", "gate_up")] = np.concatenate([array, up], 1)
        elif not name.endswith("ffn_up_exps.weight"):
            made[name] = array
    return made


def keys_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The file's keys, without the architecture in front."""
    c, family = config, config["model_type"]
    heads, rope = c["num_attention_heads"], dict(c.get("rope_parameters") or {})
    latent = "kv_lora_rank" in c
    head = c.get("head_dim") or c["hidden_size"] // heads
    turned = c["qk_rope_head_dim"] if latent else head
    found = {
        "block_count": c["num_hidden_layers"],
        "context_length": c["max_position_embeddings"],
        "embedding_length": c["hidden_size"],
        "feed_forward_length": c["intermediate_size"],
        "attention.head_count": heads,
        "attention.head_count_kv": 1 if latent else c["num_key_value_heads"],
        "attention.layer_norm_rms_epsilon": float(c["rms_norm_eps"]),
        "rope.freq_base": float(rope.get("rope_theta", 10000.0)),
        "rope.dimension_count": int(turned * rope.get("partial_rotary_factor", 1)),
        "vocab_size": c["vocab_size"],
        "expert_count": first(c, "num_experts", "num_local_experts", "n_routed_experts"),
        "expert_used_count": c["num_experts_per_tok"],
        "expert_feed_forward_length": c.get("moe_intermediate_size"),
        "expert_shared_count": c.get("n_shared_experts"),
        "expert_shared_feed_forward_length": c.get("shared_expert_intermediate_size"),
        "leading_dense_block_count": c.get("first_k_dense_replace"),
        "expert_group_count": c.get("n_group"),
        "expert_group_used_count": c.get("topk_group"),
        "expert_weights_scale": c.get("routed_scaling_factor"),
        "attention.q_lora_rank": c.get("q_lora_rank"),
        "attention.kv_lora_rank": c.get("kv_lora_rank"),
        "attention.scale": c.get("attention_multiplier"),
        "embedding_scale": c.get("embedding_multiplier"),
        "residual_scale": c.get("residual_multiplier"),
        "logit_scale": c.get("logits_scaling"),
    }
    if latent:
        found["attention.key_length"] = c["kv_lora_rank"] + turned
        found["attention.value_length"] = c["kv_lora_rank"]
        found["attention.key_length_mla"] = c["qk_nope_head_dim"] + turned
        found["attention.value_length_mla"] = c["v_head_dim"]
    elif family != "granitemoe":
        found["attention.key_length"] = found["attention.value_length"] = head
    if family in ("deepseek_v3", "glm4_moe"):
        found["expert_gating_func"] = 2
        found["expert_weights_norm"] = c["norm_topk_prob"]
    if family == "gpt_oss":
        found["attention.sliding_window"] = c["sliding_window"]
        found["expert_feed_forward_length"] = c["intermediate_size"]
    if rope.get("rope_type") == "yarn":
        found |= yarn_of(rope)
    return {key: value for key, value in found.items() if value is not None}


def yarn_of(rope: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": float(rope["factor"]),
        "rope.scaling.original_context_length": rope["original_max_position_embeddings"],
        "rope.scaling.yarn_beta_fast": rope.get("beta_fast"),
        "rope.scaling.yarn_beta_slow": rope.get("beta_slow"),
    }
    if "mscale_all_dim" in rope:
        found["rope.scaling.yarn_log_multiplier"] = 0.1 * rope["mscale_all_dim"]
    return found


def first(config: Mapping[str, Any], *names: str) -> Any:
    return next(config[name] for name in names if name in config)


def write(
    path: Path,
    architecture: str,
    keys: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    types: Mapping[str, str] | None = None,
) -> Path:
    """A file of these keys (None leaves one out), the tensors in F32 or what `types` says.

    `types` is by the name behind the layer. There is no vocabulary.
    """
    writer = gguf.GGUFWriter(path, architecture)
    adders = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    adders |= {str: writer.add_string, list: writer.add_array}
    for key, value in keys.items():
        if value is not None:
            adders[type(value)](f"{architecture}.{key}", value)
    writer.add_tokenizer_model("none")
    for name, array in tensors.items():
        array = np.ascontiguousarray(array, np.float32)
        kind = (types or {}).get(re.sub(r"^blk\.\d+\.", "", name), "F32")
        if kind == "F32":
            writer.add_tensor(name, array)
        else:
            form = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quantize(array, form), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
