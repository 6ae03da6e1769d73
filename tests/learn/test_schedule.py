"""The learning rate over a run, by hand."""

from itertools import pairwise

import pytest

from farthing.learn.recipe import Schedule
from farthing.learn.schedule import falling, rate


def rates(schedule: Schedule, steps: int) -> list[float]:
    return [rate(schedule, step, steps) for step in range(steps)]


def test_wsd_goes_up_stays_and_goes_down():
    found = rates(Schedule(warmup=4, decay=0.5), 12)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:7] == [1.0, 1.0, 1.0]
    assert found[6:] == pytest.approx([6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_wsd_ends_above_its_least():
    found = rates(Schedule(warmup=0, decay=0.5, least=0.1), 4)
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.55])


def test_without_decay_the_rate_stays():
    assert rates(Schedule(warmup=0, decay=0.0), 5) == [1.0] * 5


def test_cosine_falls_from_the_warm_up_to_its_least():
    found = rates(Schedule(kind="cosine", warmup=2, least=0.2), 10)
    assert found[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert found[6] == pytest.approx(0.6)  # half way down
    assert all(before > after for before, after in pairwise(found[2:]))
    assert found[-1] > 0.2


def test_the_next_token_head_weighs_less_once_wsd_falls():
    schedule = Schedule(warmup=0, decay=0.25)
    assert [falling(schedule, step, 8) for step in range(8)] == [False] * 6 + [True] * 2
    assert not falling(Schedule(kind="cosine"), 7, 8)
