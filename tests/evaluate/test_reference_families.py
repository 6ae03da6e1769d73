"""Every family with experts or latents, read both ways: against transformers, and the engine.

Weights of the saved folder and of what was packed from it are the same numbers.
"""

from pathlib import Path

import numpy as np
import pytest
from toys import ids

from farthing.evaluate import measure
from farthing.evaluate.opened import open as open_checkpoint
from farthing.evaluate.readings import engine_reading, reference_reading
from models.oracle import their_logits
from small_mixtures import CASES, pulled


@pytest.mark.parametrize("case", CASES)
def test_the_reference_is_transformers_and_the_engine_is_near(case: str, tmp_path: Path) -> None:
    model = pulled(tmp_path / "source", case)
    reading = reference_reading(model.folder)
    text = ids(40)
    expected = np.asarray(their_logits(model.theirs, text.tolist()))
    far = np.abs(reading.logits(text) - expected).max()
    assert far < 2e-3 * np.abs(expected).max(), case
    (engine,) = measure.compare(reading, [engine_reading(model.folder)], [ids(101, 1)])
    assert 0 < engine.kl.mean() < 0.05, case


@pytest.mark.parametrize("case", ["qwen3_moe", "deepseek_v3", "gpt_oss"])
def test_a_folder_and_what_was_packed_from_it_are_one_model(case: str, tmp_path: Path) -> None:
    """Stacks, latents and tables by both readers. Packing rounded nothing: it all was bf16."""
    model = pulled(tmp_path / "source", case)
    published, packed = open_checkpoint(tmp_path / "source"), open_checkpoint(model.folder)
    assert published.sha256 == packed.sha256
    assert published.shape == packed.shape
    for name in packed.layouts:
        rounded = published.floats(name)
        np.testing.assert_allclose(packed.floats(name), rounded, rtol=2**-8, atol=0)
