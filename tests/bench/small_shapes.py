"""The shapes that ship with farthing, made small: the same families and fields, other sizes."""

from farthing import models
from farthing.bench import skeleton

SMALL = {
    "vocab_size": 2050,
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "intermediate_size": 256,
    "num_experts": 8,
    "n_routed_experts": 8,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 128,
    "max_position_embeddings": 8192,
    "kv_lora_rank": 128,
}


def small(name: str) -> skeleton.Skeleton:
    config = skeleton.read(name).config
    config |= {key: value for key, value in SMALL.items() if key in config}
    if config["model_type"] in ("olmoe", "deepseek_v2"):
        config["num_key_value_heads"] = config["num_attention_heads"]
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][:2]
    return skeleton.Skeleton(f"small-{name}", config, models.tensors_of(config))
