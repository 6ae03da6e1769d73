"""What both sides of the training comparison train: one model's shape, rows of one length, the
optimizer's numbers. Written into a folder, so that each side reads the same. Imports no torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LENGTH = 512
"""Tokens in a row. Each row is one document, so that neither side masks anything but the future."""
VOCABULARY = 8192
ROWS = 2048
SHAPE: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "q_lora_rank": None,
    "kv_lora_rank": 64,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
    "n_routed_experts": 64,
    "num_experts_per_tok": 6,
    "n_shared_experts": 1,
    "moe_intermediate_size": 64,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "attention_bias": False,
    "moe_layer_freq": 1,
}
"""One dense layer, then 64 experts of which 6 are active, one shared; MLA. No next-token head:
transformers trains none."""
OPTIMIZER: dict[str, Any] = {"rate": 2e-3, "decay": 0.1, "betas": [0.9, 0.95], "clip": 1.0}
WARMUP, COMPILING = 1, 3
"""Steps of each round that are not timed; and where code is compiled on the way."""


@dataclass(frozen=True, slots=True)
class Task:
    folder: Path
    tokens: int
    """Of a step."""

    @classmethod
    def write(cls, folder: Path, tokens: int) -> Self:
        """Tokens by Zipf's law, and each row a walk of its own: there is something to learn."""
        assert tokens % LENGTH == 0, f"a step is rows of {LENGTH} tokens"
        random = np.random.default_rng(0)
        share = 1 / np.arange(1, VOCABULARY + 1)
        rows = random.choice(VOCABULARY, (ROWS, LENGTH), p=share / share.sum())
        rows[:, 1::2] = (rows[:, ::2] * 31 + 7) % VOCABULARY
        np.save(folder / "rows.npy", rows.astype(np.int64))
        (folder / "task.json").write_text(json.dumps({"tokens": tokens, "shape": SHAPE}))
        return cls(folder, tokens)

    @classmethod
    def read(cls, folder: Path) -> Self:
        return cls(folder, json.loads((folder / "task.json").read_bytes())["tokens"])

    def rows(self) -> NDArray[np.int64]:
        """[ROWS, LENGTH]"""
        found: NDArray[np.int64] = np.load(self.folder / "rows.npy")
        return found
