"""Memory follows the largest layer, however many there are."""

import tracemalloc
from pathlib import Path

import pytest

from farthing.quantize.run import Progress, quantize
from farthing.quantize.source import Source
from quantize import walk_toys as toys

SIZES = {"hidden_size": 256, "intermediate_size": 1024}
EXPERTS = {"moe_intermediate_size": 128, "num_experts": 8, "head_dim": 64}
"""As many weights as the other has in its MLP."""
LAYER = 4 * (256 * 256 * 3 + 256 * 1024 * 3)
"""Bytes of a layer in fp32."""


def silent(progress: Progress) -> None:
    """Nobody waits."""


def peak(source: Source, work: Path) -> int:
    """Bytes held at once while a model is quantized."""
    samples = toys.some_samples(*[64] * 2)
    tracemalloc.start()
    try:
        quantize(source, samples, toys.Same("gptq"), work, silent)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", ["llama", "qwen3_moe"])
def test_more_layers_take_no_more_memory(case: str, tmp_path: Path) -> None:
    peaks = []
    for layers in (1, 5):
        at, changes = tmp_path / str(layers), SIZES | {"num_hidden_layers": layers}
        if case == "llama":
            source = toys.dense(at, **changes)
        else:
            source = toys.mixed(at, case, **changes, **EXPERTS)
        peaks.append(peak(source, tmp_path / f"work-{layers}"))
    few, many = peaks
    assert few > LAYER / 8, "the measure measures"
    assert many - few < LAYER / 4, "for four more layers"
    # what 1 GB of the promise is for: chunks, Hessians and their factors in fp64, side by side
    assert many < 4 * LAYER + (64 << 20)
