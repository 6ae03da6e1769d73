"""Experts stay in the file until a token goes to them."""

from pathlib import Path

import numpy as np
import pytest

from farthing import models
from farthing.bench import random_packed, skeleton
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.evaluate.routing_record import record
from farthing.formats import packed

CONFIG = {
    "model_type": "qwen3_moe",
    "vocab_size": 64,
    "hidden_size": 512,
    "intermediate_size": 64,
    "moe_intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "num_experts": 64,
    "num_experts_per_tok": 2,
    "norm_topk_prob": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("mixture")
    random_packed.write(made, skeleton.Skeleton("toy", CONFIG, models.tensors_of(CONFIG)))
    return made


def mapped(file: Path) -> int:
    """Bytes of the file that this process has touched, by the kernel's own account."""
    inside, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        word = line.split()
        if "-" in word[0] and not word[0].endswith(":"):
            inside = line.endswith(str(file))
        elif inside and word[0] == "Rss:":
            total += 1024 * int(word[1])
    return total


def private() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def test_loading_reads_no_experts_and_copies_none(folder):
    weights = folder / packed.WEIGHTS
    experts = 2 * 3 * 64 * 512 * 256 * 9 // 16
    assert experts < weights.stat().st_size
    before = private()
    runner = NativeRunner(folder, EngineConfig(threads=1, max_step_tokens=64), trace=True)
    assert mapped(weights) < experts / 4
    assert private() - before < experts / 2
    tokens = np.arange(64, dtype=np.int32).tolist()
    found = record(runner, [tokens], experts=64, layers=(0, 1), tokens=64)
    assert len(np.unique(found.ids)) > 32
    assert mapped(weights) > experts / 2
