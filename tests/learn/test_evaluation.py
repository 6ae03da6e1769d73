"""Looks at held-out text: the training's own loss, and guesses that are counted right."""

from math import log

import pytest
import torch

from farthing.learn import evaluation
from farthing.learn.batches import Rows
from farthing.learn.corpus import Corpus
from farthing.learn.losses import losses
from farthing.learn.parameters import Parameters
from learn import toy_run

LENGTH, ROWS = 32, 6


@pytest.fixture
def corpus(tmp_path):
    toy_run.data(tmp_path / "held", seed=1)
    return Corpus.open(tmp_path / "held")


def look(weights, corpus, config=toy_run.SPARSE, together=LENGTH):
    return evaluation.held_out(
        config, weights, corpus, length=LENGTH, tokens=LENGTH * ROWS, together=together
    )


def test_the_loss_is_that_of_training_on_the_same_rows(corpus):
    weights = Parameters(toy_run.SPARSE, seed=3, next_token=True).weights()
    found = look(weights, corpus)
    batch = Rows([corpus], [1.0], length=LENGTH, rows=ROWS, seed=0).take(0, ROWS)
    with torch.no_grad():
        told = losses(toy_run.SPARSE, weights, batch)
    assert found.tokens == told.count
    assert found.loss == pytest.approx(float(told.main) / told.count, rel=1e-6)
    assert found.loss == pytest.approx(log(128), rel=0.1)
    assert found.next_token == pytest.approx(log(128), rel=0.1)
    assert found.error > 0


def test_rows_at_once_change_nothing(corpus):
    weights = Parameters(toy_run.DENSE, seed=3).weights()
    one = look(weights, corpus, toy_run.DENSE)
    four = look(weights, corpus, toy_run.DENSE, together=4 * LENGTH)
    assert one.tokens == four.tokens and one.right == four.right
    assert one.loss == pytest.approx(four.loss, rel=1e-6)
    assert one.next_token is None and one.accepted is None


@pytest.mark.parametrize(("knows", "share"), [(128, 1.0), (64, 0.5), (0, 0.0)])
def test_accepted_guesses_are_those_that_the_model_makes_itself(knows, share, corpus, monkeypatch):
    """The model names token + 1; its head, at a token, token + 2 where it is right."""
    weights = Parameters(toy_run.SPARSE, seed=3, next_token=True).weights()
    calls = iter(range(100))

    def answers(page, hidden, targets):
        further = 1 + next(calls) % 2  # the main model is asked first, then its head
        tokens = (targets - further) % 128
        knowing = (tokens < knows) | (further == 1)
        best = torch.where(knowing, targets, tokens)
        return torch.zeros(targets.shape, dtype=torch.float64), best

    monkeypatch.setattr(evaluation, "_answers", answers)
    found = look(weights, corpus)
    assert found.right == 1.0
    assert found.accepted == pytest.approx(share, abs=0.2)
    assert (found.accepted in (0.0, 1.0)) == (knows in (0, 128))


def test_the_error_is_that_of_a_mean_over_rows(corpus, monkeypatch):
    """Of rows with as many targets each, the standard deviation over the root of their count."""
    each = [2.0, 3.0, 7.0, 1.0, 4.0, 4.0]
    rows = iter([torch.tensor([[10.0, 10 * loss, 0, 0, 0, 0]]).double() for loss in each])
    monkeypatch.setattr(evaluation, "_look", lambda config, weights, batch: next(rows))
    found = look({}, corpus)
    assert found.loss == pytest.approx(3.5)
    spread = sum((loss - 3.5) ** 2 for loss in each) / ROWS
    assert found.error == pytest.approx((spread / ROWS) ** 0.5)


def test_one_row_has_no_error(corpus):
    """It once had none at all: 0."""
    weights = Parameters(toy_run.DENSE, seed=3).weights()
    found = evaluation.held_out(
        toy_run.DENSE, weights, corpus, length=LENGTH, tokens=LENGTH, together=LENGTH
    )
    assert found.error is None
