"""A section's notes played on samples say what the model's page says, for every family."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farthing.quantize import awq, check, experts, fold
from farthing.quantize.desk import Desk
from farthing.quantize.replay import Player
from farthing.quantize.sections import plan_of
from farthing.quantize.source import Source
from farthing.quantize.stream import NUMBERS, Chunk, Rows, Scratch, chunks_of
from farthing.quantize.types import Choices, Moments, Weights
from farthing.quantize.walk import Walk, embed
from farthing.quantize.work import Work
from farthing.weight import Form
from quantize import walk_toys as toys
from small_mixtures import CASES

HEAD = (("lm_head.weight", toys.KEEP), ("embed_tokens.weight", toys.KEEP))
KEPT = toys.Same()
SAMPLES = toys.some_samples(17, 17, 9, 30)


def played(source: Source, folder: Path, recipe: Choices = KEPT) -> NDArray[np.float32]:
    """Logits at the end of the residual stream of a walk that rounds nothing."""
    plan = plan_of(source.config, source.names())
    chosen = check.chosen(source, plan, recipe)
    # some samples together, some alone
    work, chunks, known = Work(folder, "key"), chunks_of(SAMPLES, NUMBERS // 40), {}
    scratch = Scratch()
    for number, section in enumerate(plan.sections[:-1]):
        with work.write(number) as writer:
            walk = Walk(section, Desk(source, chosen, writer, print), chunks, known, scratch)
            if not number:
                embed(walk, section.notes[0], np.concatenate(SAMPLES))
            fold.fold(walk)
            walk.calibrate(experts.settle)
            walk.write(Rows.zeros(writer.stream, chunks[-1].stop, section.out.width))
        known = {section.out: Rows(work.stream(number), chunks[-1].stop, section.out.width)}
    *notes, last = plan.sections[-1].notes
    with work.write(len(plan.sections) - 1) as writer:
        desk = Desk(source, chosen, writer, print)
        (stream,) = known.values()
        whole = Chunk(0, chunks[-1].stop, tuple(map(len, SAMPLES)))
        start = {plan.sections[-1].source: stream.read(whole.start, whole.stop)}
        end = Player(desk.numbers).play(notes, start, whole, {notes[-1].out})[notes[-1].out]
        return end @ desk.numbers(last.weights[0]).T


@pytest.fixture
def any_factors(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """AWQ finds factors by lot, and nothing is rounded. Gets the widths that were asked for."""
    asked: list[int] = []
    random = np.random.default_rng(5)

    def scales(weights: list[Weights], form: Form, moments: Moments) -> Weights:
        assert {w.shape[1] for w in weights} == {len(moments.magnitude)}
        asked.append(len(moments.magnitude))
        return np.exp(random.standard_normal(asked[-1])).astype(np.float32)

    monkeypatch.setattr(awq, "scales", scales)
    monkeypatch.setattr(Desk, "settle", lambda desk, one, *at, **how: desk.settled.add(one.name))
    monkeypatch.setattr(
        Desk, "settle_all", lambda desk, many, *how: desk.settled.update(one.name for one in many)
    )
    return asked


FOLDED = {"llama": 8, "qwen3_moe": 27, "qwen2_moe": 30, "deepseek_v3": 29, "gpt_oss": 3}
"""How many inputs of a toy have factors that something takes: norms' (two a dense layer), v's
where each head has its own keys, up's, each expert's up."""


@pytest.mark.parametrize("family", FOLDED)
def test_folding_changes_no_logits(family: str, any_factors: list[int], tmp_path: Path) -> None:
    if family == "llama":
        source = toys.dense(tmp_path / "model", num_key_value_heads=4, attention_bias=True)
    else:
        source = toys.mixed(tmp_path / "model", family)
    theirs = toys.page_logits(source.config, source, SAMPLES)
    ours = played(source, tmp_path / "work", toys.Same("awq", others=HEAD))
    np.testing.assert_allclose(ours, theirs, atol=2e-4 * np.abs(theirs).max())
    assert len(any_factors) == FOLDED[family]


@pytest.mark.parametrize("case", CASES)
def test_the_stream_is_the_pages_own(case: str, tmp_path: Path) -> None:
    source = toys.mixed(tmp_path / "model", case)
    theirs = toys.page_logits(source.config, source, SAMPLES)
    ours = played(source, tmp_path / "work")
    np.testing.assert_allclose(ours, theirs, atol=2e-4 * np.abs(theirs).max())


def test_the_stream_of_a_dense_model_is_its_pages_own(tmp_path: Path) -> None:
    source = toys.dense(tmp_path / "model", tie_word_embeddings=True, attention_bias=True)
    theirs = toys.page_logits(source.config, source, SAMPLES)
    ours = played(source, tmp_path / "work")
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())
