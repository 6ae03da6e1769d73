"""A recipe and data so small that a run of it takes a second."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from farthing.learn import corpus

SPARSE: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
}
DENSE: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
}
QWEN: dict[str, Any] = DENSE | {"model_type": "qwen3", "head_dim": 8, "tie_word_embeddings": False}


def recipe(folder: Path, steps: int = 12, **changed: Any) -> Path:
    """A recipe.toml in the folder, and its two corpora beside it. Tables are changed field by
    field; [model] is replaced."""
    data(folder / "train", seed=0)
    data(folder / "held", seed=1)
    made: dict[str, Any] = {
        "name": "toy",
        "seed": 1,
        "tokens": 256 * steps,
        "model": SPARSE,
        "data": {
            "tokenizer": "tokenizer",
            "length": 32,
            "train": [{"path": "train"}],
            "held_out": [{"path": "held"}],
        },
        "batch": {"tokens": 256, "together": 128},
        "optimizer": {"rate": 0.01},
        "schedule": {"warmup": 2},
        "evaluate": {"steps": 4, "tokens": 256},
        "save": {"minutes": 0.0},
    }
    for name, value in changed.items():
        table = isinstance(value, dict) and name != "model"
        made[name] = made.get(name, {}) | value if table else value
    path = folder / "recipe.toml"
    path.write_text(toml(made))
    return path


def data(path: Path, *, seed: int, documents: int = 60) -> None:
    """Documents that count upwards from somewhere: easy to learn."""
    if path.exists():
        return
    drawn = np.random.default_rng(seed)
    made = [
        ((np.arange(length) + drawn.integers(128)) % 128, None)
        for length in drawn.integers(10, 40, documents)
    ]
    corpus.write(path, made, vocabulary=128, about={})


def toml(table: dict[str, Any]) -> str:
    """JSON's values are TOML's, but for tables: those go in braces with =."""
    return "".join(f"{name} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value)
