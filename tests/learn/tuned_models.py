"""Small checkpoints to tune, as folders, with parts that say something. Shared by tests here."""

from pathlib import Path
from typing import Any

import torch
from packed_rows import packed
from torch import Tensor

import small_mixtures
from farthing.learn.adapted import Adapted
from farthing.learn.base import Base, read
from farthing.learn.batches import Batch
from farthing.learn.lora import Adapter
from farthing.learn.losses import losses
from models.oracle import checkpoint
from server.toy_model import write_toy

DENSE = {
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "vocab_size": small_mixtures.VOCABULARY,
    "hidden_size": 64,
}
FAMILIES = ("llama", "qwen3_moe", "mixtral", "qwen2_moe", "deepseek_v3")
VOCABULARY = small_mixtures.VOCABULARY
BATCH = packed([[20, 6, 16], [30, 12], [42]], VOCABULARY)


def source(at: Path, family: str) -> Any:
    """A folder as the hub would have it; returns transformers' model, fp32."""
    if family != "llama":
        return small_mixtures.source(at, family, num_hidden_layers=2)
    _, theirs = checkpoint("llama", **DENSE, num_hidden_layers=2)
    theirs.save_pretrained(at)
    write_toy(at)
    return theirs


def base(at: Path, family: str) -> Base:
    source(at, family)
    return read(at, torch.float32)


def trained(base: Base, *targets: str, rank: int = 3, alpha: float = 6.0) -> Adapter:
    """Parts whose B is not zero."""
    adapter = Adapter.fresh(base.config, targets or ("all-linear",), rank=rank, alpha=alpha, seed=1)
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in adapter.named():
            if name.endswith("lora_B"):
                parameter.normal_(std=0.1)
    return adapter


def loss(config: dict[str, Any], weights: Any, batch: Batch = BATCH) -> Tensor:
    return losses(config, weights, batch, reading=Adapted).main
