"""Weights stay in the file: mapped where memory holds them, and never copied."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farthing import models
from farthing.bench import random_packed, skeleton
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner, map_ahead
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


EXPERTS = 2 * 3 * 64 * 512 * 256 * 9 // 16


def test_loading_maps_what_memory_holds_and_copies_nothing(folder):
    weights = folder / packed.WEIGHTS
    size, before = weights.stat().st_size, private()
    assert size > EXPERTS
    runner = NativeRunner(folder, EngineConfig(threads=1, max_step_tokens=64), trace=True)
    assert runner.mapping is not None
    runner.mapping.join()
    assert mapped(weights) == -(-size // 4096) * 4096
    tokens = np.arange(64, dtype=np.int32).tolist()
    found = record(runner, [tokens], experts=64, layers=(0, 1), tokens=64)
    assert len(np.unique(found.ids)) > 32
    assert private() - before < EXPERTS / 2


def test_what_memory_does_not_hold_is_not_mapped_ahead(folder):
    before = mapped(folder / packed.WEIGHTS)
    data = packed.open(folder).mapped
    assert map_ahead(data, available=data.nbytes) is None
    assert mapped(folder / packed.WEIGHTS) - before < EXPERTS / 4


ENDS = """
import tempfile
import numpy as np
from farthing.engine.runner import map_ahead
with tempfile.TemporaryFile() as file:
    file.truncate({megabytes} << 20)
    map_ahead(np.memmap(file, np.uint8, mode="r"), 1 << 62)
"""


@pytest.mark.parametrize("megabytes", [1, 16, 1 << 18])
def test_a_program_may_end_while_weights_are_mapped(megabytes):
    """The last are 256 GB, of which it maps as much as it has time for."""
    command = [sys.executable, "-c", ENDS.format(megabytes=megabytes)]
    for _ in range(3):
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
