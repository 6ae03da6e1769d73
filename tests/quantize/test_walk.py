"""A section's notes played on samples say what the model's page says, for every family."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farthing.quantize import check, experts
from farthing.quantize.desk import Desk
from farthing.quantize.replay import Player
from farthing.quantize.sections import plan_of
from farthing.quantize.source import Source
from farthing.quantize.stream import Rows, chunks_of
from farthing.quantize.walk import Walk, embed
from farthing.quantize.work import Work
from quantize import toys
from small_mixtures import CASES

SAMPLES = toys.some_samples(17, 17, 9, 30)


def played(source: Source, folder: Path) -> NDArray[np.float32]:
    """Logits at the end of the residual stream of a walk that changes nothing."""
    plan = plan_of(source.config, source.names())
    chosen = check.chosen(source, plan, toys.Same())
    work, chunks, known = Work(folder, "key"), chunks_of(SAMPLES), {}
    for number, section in enumerate(plan.sections[:-1]):
        with work.write(number) as writer:
            walk = Walk(section, Desk(source, chosen, writer, print), chunks, known)
            if not number:
                embed(walk, section.notes[0], np.concatenate(SAMPLES))
            walk.calibrate(experts.settle)
            walk.write(Rows.zeros(writer.stream, chunks[-1].stop, section.out.width))
        known = {section.out: Rows(work.stream(number), chunks[-1].stop, section.out.width)}
    *notes, last = plan.sections[-1].notes
    with work.write(len(plan.sections) - 1) as writer:
        desk = Desk(source, chosen, writer, print)
        (stream,) = known.values()
        start = {plan.sections[-1].source: stream.read(0, chunks[-1].stop)}
        end = Player(desk.numbers).play(notes, start, chunks[0], {notes[-1].out})[notes[-1].out]
        return end @ desk.numbers(last.weights[0]).T


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
