"""Small random checkpoints of every family with experts or MLA, as transformers writes them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from models.canonical import canonical

SMALL = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "num_experts_per_tok": 2,
}
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 24,
    "n_routed_experts": 6,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3_moe": {"num_experts": 6, "head_dim": 16},
    "qwen2_moe": {"num_experts": 6, "shared_expert_intermediate_size": 24},
    "olmoe": {"num_experts": 6},
    "mixtral": {"num_local_experts": 6},
    "granitemoe": {"num_local_experts": 6},
    "glm4_moe": {"n_routed_experts": 6, "first_k_dense_replace": 1, "use_qk_norm": True},
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT | {"q_lora_rank": None},
    "gpt_oss": {"num_local_experts": 6, "head_dim": 8},
}
TENSORS = "model.safetensors"


def small(family: str) -> Any:
    """A model in fp32, every weight exact in bf16."""
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(family, **(SMALL | FAMILIES[family]))
    model = transformers.AutoModelForCausalLM.from_config(config).float()
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randn_like(tensor).bfloat16())
    return model


def saved(folder: Path, family: str, *, original: bool = True) -> Any:
    """Write a small model; with `original` as the hub has it, else as transformers holds it."""
    model = small(family)
    model.save_pretrained(folder, save_original_format=original)
    return model


def expected(model: Any) -> dict[str, Any]:
    """Its weights by canonical names, NumPy fp32."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return canonical(state, model.config.to_dict())


def set_config(folder: Path, **keys: Any) -> None:
    """Change config.json; a key that becomes ... goes."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | keys
    kept = {key: value for key, value in config.items() if value is not ...}
    path.write_text(json.dumps(kept))


def rewrite(folder: Path, by: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Write what `by` makes of the tensors of a folder."""
    made = by(load_file(folder / TENSORS))
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, folder / TENSORS)


def change(folder: Path, given: Mapping[str, Any]) -> None:
    """Add or replace tensors of a folder; a tensor that becomes None goes."""
    rewrite(folder, lambda old: {n: t for n, t in {**old, **given}.items() if t is not None})
