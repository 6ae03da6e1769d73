"""Shares and their intervals, pass@k, and what a model keeps of a reference's scores."""

from collections.abc import Sequence
from itertools import combinations
from math import comb
from statistics import fmean

import pytest

from farthing.errors import InputError
from farthing.evaluate.tasks.kept import kept
from farthing.evaluate.tasks.share import pass_at, share, wilson
from farthing.evaluate.tasks.types import Score


def test_wilsons_interval_is_that_of_the_textbook():
    found = wilson(8, 10)  # Newcombe 1998: 0.4902 to 0.9433
    assert (found.mean, round(found.low, 4), round(found.high, 4)) == (0.8, 0.4902, 0.9433)
    none, all_ = wilson(0, 164), wilson(164, 164)
    assert none.low == 0 < none.high < 0.03 and 0.97 < all_.low < all_.high == 1


def test_wilsons_interval_holds_the_truth_as_often_as_it_says():
    """Exactly, by the binomial's own weights: 95 % on average over shares, as Wilson's does."""
    covered = [
        sum(
            comb(50, n) * p**n * (1 - p) ** (50 - n)
            for n in range(51)
            if wilson(n, 50).low <= p <= wilson(n, 50).high
        )
        for p in (i / 100 for i in range(5, 96))
    ]
    assert fmean(covered) == pytest.approx(0.95, abs=0.007)
    assert min(covered) > 0.9


def test_parts_of_items_get_a_bootstrap():
    items = [0.25, 0.5, 0.75, 1.0] * 25
    found = share(items)
    assert found.mean == pytest.approx(0.625)
    assert found.low == pytest.approx(0.57, abs=0.02) and found.high == pytest.approx(
        0.68, abs=0.02
    )
    assert (share([0.5]).low, share([0.5]).high) == (0, 1)


@pytest.mark.parametrize("right", range(7))
@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_pass_at_k_is_the_share_of_all_draws_of_k(right, k):
    tries = [True] * right + [False] * (6 - right)
    draws = [any(drawn) for drawn in combinations(tries, k)]
    assert pass_at(k, right, 6) == pytest.approx(fmean(draws))


def score(task: str, items: Sequence[float], *, metric: str = "likelihood", sha: str = "") -> Score:
    return Score(
        task=task,
        metric=metric,
        share=share(items),
        chance=0.25,
        count=len(items),
        items=list(items),
        tokens_in=1,
        tokens_out=0,
        seconds=1.0,
        sha256=sha or task,
    )


def test_a_model_keeps_all_of_its_own_scores():
    own = [score("a", [1, 1, 0, 1] * 20)]
    found = kept(own, own)
    assert found.share is not None
    assert (found.share.mean, found.share.low, found.share.high) == (1, 1, 1)


def test_only_tasks_that_the_reference_is_good_at_count_and_by_their_first_score():
    reference = [
        score("good", [1, 1, 1, 0] * 10),
        score("good", [1, 0, 0, 0] * 10, metric="likelihood a byte"),
        score("bad", [1, 0, 0, 1] * 10),
    ]
    ours = [
        score("bad", [0] * 40),
        score("good", [0] * 40, metric="likelihood a byte"),
        score("good", [1, 1, 0, 0] * 10),
    ]
    found = kept(ours, reference)
    assert found.share is not None and found.share.mean == pytest.approx(2 / 3)
    assert found.share.low < 0.6 < 0.75 < found.share.high
    assert (found.counted, found.left_out) == (["good"], ["bad"])
    assert kept(ours, reference[2:]).share is None


def test_scores_of_other_questions_are_not_compared():
    with pytest.raises(InputError, match="on the same task"):
        kept([score("a", [1] * 4, sha="x")], [score("a", [1] * 4)])
    with pytest.raises(InputError, match="on the same task"):
        kept([], [score("a", [1] * 4)])
