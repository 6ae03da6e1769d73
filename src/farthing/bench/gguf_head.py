"""The metadata of a random GGUF: the keys of each architecture as llama.cpp reads them, and the
smallest vocabulary that has the right size."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from farthing.bench.skeleton import Skeleton
from farthing.errors import FormatError

ARCHITECTURES = {
    "qwen3_moe": "qwen3moe",
    "olmoe": "olmoe",
    "deepseek_v2": "deepseek2",
    "gpt_oss": "gpt-oss",
}


def head(gguf: ModuleType, writer: Any, skeleton: Skeleton) -> None:
    config = skeleton.config
    writer.add_name(f"{skeleton.name}, random weights")
    writer.add_block_count(skeleton.layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    _rotation(gguf, writer, config)
    {
        "qwen3_moe": _plain,
        "olmoe": _plain,
        "deepseek_v2": _latent,
        "gpt_oss": _sliding,
    }[config["model_type"]](gguf, writer, config)
    _vocabulary(writer, config["vocab_size"])


def _plain(gguf: ModuleType, writer: Any, config: Mapping[str, Any]) -> None:
    _heads(writer, config)
    writer.add_expert_count(config["num_experts"])
    if "moe_intermediate_size" in config:
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])


def _sliding(gguf: ModuleType, writer: Any, config: Mapping[str, Any]) -> None:
    _heads(writer, config)
    writer.add_expert_count(config["num_local_experts"])
    writer.add_expert_feed_forward_length(config["intermediate_size"])
    writer.add_sliding_window(config["sliding_window"])


def _heads(writer: Any, config: Mapping[str, Any]) -> None:
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)


def _latent(gguf: ModuleType, writer: Any, config: Mapping[str, Any]) -> None:
    """One key of all heads, `rank` of latent and then what is turned; heads of their own behind."""
    rank, turned = config["kv_lora_rank"], config["qk_rope_head_dim"]
    writer.add_head_count_kv(1)
    writer.add_key_length(rank + turned)
    writer.add_value_length(rank)
    writer.add_key_length_mla(config["qk_nope_head_dim"] + turned)
    writer.add_value_length_mla(config["v_head_dim"])
    writer.add_kv_lora_rank(rank)
    # A zero is read like no key at all, but llama.cpp asks for one unless there are 27 layers.
    writer.add_q_lora_rank(config.get("q_lora_rank") or 0)
    writer.add_rope_dimension_count(turned)
    writer.add_leading_dense_block_count(config["first_k_dense_replace"])
    writer.add_expert_count(config["n_routed_experts"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_expert_weights_norm(bool(config["norm_topk_prob"]))
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType[config["scoring_func"].upper()])
    if (config.get("n_group") or 1) > 1:
        writer.add_expert_group_count(config["n_group"])
        writer.add_expert_group_used_count(config["topk_group"])


def _rotation(gguf: ModuleType, writer: Any, config: Mapping[str, Any]) -> None:
    writer.add_rope_freq_base(float(config["rope_theta"]))
    scaling = config.get("rope_scaling")
    if scaling is None:
        return
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind != "yarn":
        raise FormatError(f"rope_scaling {kind!r} is not written as GGUF; known: yarn")
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(float(scaling["factor"]))
    writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
    writer.add_rope_scaling_yarn_beta_fast(float(scaling["beta_fast"]))
    writer.add_rope_scaling_yarn_beta_slow(float(scaling["beta_slow"]))
    if "mscale_all_dim" in scaling:
        # A tenth of it, as converters write it; llama.cpp takes that back.
        writer.add_rope_scaling_yarn_log_mul(0.1 * scaling["mscale_all_dim"])


def _vocabulary(writer: Any, size: int) -> None:
    """Byte-level BPE that can hardly write: pieces with numbers, and one merge."""
    pieces = ["a", "b", "ab"] + [f"t{index}" for index in range(3, size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces[:size])
    writer.add_token_types([1] * size)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
