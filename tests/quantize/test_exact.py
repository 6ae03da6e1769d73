"""Inputs as they were before: found by playing the source, and made up for where they drifted."""

from pathlib import Path

import numpy as np
import pytest

from farthing.evaluate.divergence import divergence
from farthing.quantize import check, exact, stream
from farthing.quantize.beside import After
from farthing.quantize.moments import Gathering
from farthing.quantize.run import quantize
from farthing.quantize.sections import plan_of
from farthing.quantize.types import Weights
from quantize import walk_toys as toys
from small_mixtures import CASES

SAMPLES = toys.some_samples(*[40] * 64)
OTHERS = toys.some_samples(*[40] * 8, seed=9)


def test_making_up_for_drift_lowers_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On samples that calibration did not see."""
    source = toys.dense(tmp_path / "model", few=24, num_hidden_layers=4)
    theirs = toys.page_logits(source.config, source, OTHERS)

    def loss(work: str) -> float:
        made = quantize(source, SAMPLES, toys.Same("gptq"), tmp_path / work, lambda told: None)
        return divergence(theirs, toys.page_logits(made.config, made, OTHERS)).mean

    told = loss("told")
    monkeypatch.setattr(exact, "wanted", lambda plan, chosen: False)
    assert told < 0.9 * loss("untold")


@pytest.mark.parametrize(
    ("case", "method", "expected"),
    [("llama", "gptq", True), ("llama", "awq", False), ("llama", "rtn", False)]
    + [(case, "gptq", False) for case in CASES],
)
def test_only_where_one_input_stands_for_the_other(
    case: str, method: str, expected: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    source = toys.dense(folder) if case == "llama" else toys.mixed(folder, case)
    plan = plan_of(source.config, source.names())
    assert exact.wanted(plan, check.chosen(source, plan, toys.Same(method))) == expected


def test_whole_samples_are_played_again_and_at_least_one() -> None:
    long, short = [np.zeros(exact.TOKENS + 5, np.int32)] * 2, [np.zeros(4000, np.int32)] * 30
    assert len(exact.some(long)) == 1
    assert len(exact.some(short)) == exact.TOKENS // 4000


@pytest.mark.parametrize("numbers", [96 * 64, 64 * 64, 40 * 96])
def test_inputs_are_compared_with_their_own_where_sections_have_other_chunks(
    numbers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MLP is wider than attention: its chunks are shorter, and end elsewhere."""
    source = toys.dense(tmp_path / "model")
    monkeypatch.setattr(stream, "NUMBERS", numbers)
    monkeypatch.setattr(exact, "TOKENS", 130)
    drifts = []

    def comparing(self: Gathering, before: Weights, x: Weights) -> After:
        drifts.append(np.linalg.norm(before - x) / np.linalg.norm(before))
        return lambda: None

    monkeypatch.setattr(Gathering, "comparing", comparing)
    samples = toys.some_samples(40, 40, 30, 40, 20, 40)
    quantize(source, samples, toys.Same("gptq", toys.INT8), tmp_path / "work", lambda told: None)
    assert drifts
    assert max(drifts) < 0.05


def test_few_rows_are_not_taken_for_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row or two for each input tell nearly nothing of other samples."""
    source = toys.dense(tmp_path / "model", few=24, num_hidden_layers=4)
    theirs = toys.page_logits(source.config, source, OTHERS)

    def loss(work: str) -> float:
        made = quantize(source, SAMPLES[:2], toys.Same("gptq"), tmp_path / work, lambda told: None)
        return divergence(theirs, toys.page_logits(made.config, made, OTHERS)).mean

    told = loss("told")
    monkeypatch.setattr(exact, "wanted", lambda plan, chosen: False)
    assert told < 1.15 * loss("untold")
