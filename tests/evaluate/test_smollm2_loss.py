"""What `farthing eval` says of the real model, beside transformers and torch on the same text."""

from pathlib import Path

import numpy as np
import pytest

from farthing.evaluate import divergence, measure
from farthing.evaluate.opened import open as open_checkpoint
from farthing.evaluate.readings import engine_reading, reference_reading
from farthing.evaluate.texts import cut, written
from models.smollm2 import text_tokens, their_logits, theirs

pytestmark = pytest.mark.slow

LENGTH = 300


def test_the_loss_of_activations_is_that_seen_from_transformers(smollm2: Path) -> None:
    text = cut(text_tokens(4 * LENGTH + 1), length=LENGTH, tokens=4 * LENGTH, what="manual")
    (row,) = measure.measure(open_checkpoint(smollm2), None, text)
    engine = engine_reading(smollm2)
    parts = [
        divergence.tokens(
            their_logits(theirs(), ids[:-1].tolist()), [engine.logits(ids[:-1])], ids[1:]
        )[0]
        for ids in text.sequences
    ]
    expected = divergence.Tokens.joined(parts)
    assert row.loss.kl.mean == pytest.approx(expected.kl.mean(), rel=0.02)
    assert 0.001 < row.loss.kl.mean < 0.004
    assert row.loss.kl.low < row.loss.kl.mean < row.loss.kl.high < 2 * row.loss.kl.mean
    theirs_said = np.exp(expected.reference_surprise.mean())
    assert row.loss.reference_perplexity.mean == pytest.approx(theirs_said, rel=1e-3)
    assert row.loss.perplexity.mean == pytest.approx(theirs_said, rel=0.01)


def test_the_real_model_does_not_differ_from_itself(smollm2: Path) -> None:
    text = written(smollm2, seed=0, length=100, tokens=200)
    for make in (reference_reading, engine_reading):
        (tokens,) = measure.compare(make(smollm2), [make(smollm2)], text.sequences)
        assert not tokens.kl.any()
