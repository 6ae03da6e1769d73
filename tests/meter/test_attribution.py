"""Dividing time loses none of it, and the clock accounts for every stretch of the loop."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.meter.attribution import Clock, Reading, split

times = st.integers(0, 10**15)
whole = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)
floats = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=40)


@given(times, whole | floats)
def test_parts_sum_to_the_whole(nanoseconds, weights):
    parts = split(nanoseconds, weights)
    assert sum(parts) == nanoseconds
    assert min(parts) >= 0
    assert len(parts) == len(weights)


@given(times, whole)
def test_a_part_is_its_exact_share_rounded_down_or_up(nanoseconds, weights):
    weights = weights if any(weights) else [1] * len(weights)
    for part, weight in zip(split(nanoseconds, weights), weights, strict=True):
        assert abs(part - Fraction(nanoseconds * weight, sum(weights))) < 1


@given(times, whole | floats)
def test_who_caused_more_pays_no_less_and_ties_go_to_the_lowest_index(nanoseconds, weights):
    parts = split(nanoseconds, weights)
    ranked = sorted(range(len(weights)), key=lambda i: (weights[i], -i))
    assert [parts[i] for i in ranked] == sorted(parts)


@given(times, floats)
def test_float_weights_get_their_share_to_fifteen_digits(nanoseconds, weights):
    total = sum(map(Fraction, weights))
    if total:
        for part, weight in zip(split(nanoseconds, weights), weights, strict=True):
            exact = nanoseconds * Fraction(weight) / total
            assert abs(part - exact) <= 1 + Fraction(nanoseconds * len(weights), 2**52)


def test_the_split_is_the_one_worked_out_by_hand():
    assert split(10, [1, 1, 1]) == [4, 3, 3]
    assert split(10, [0.25, 0.5, 0.25]) == [3, 5, 2]
    assert split(7, [0, 0]) == [4, 3]
    assert split(5, [0, 3, 0]) == [0, 5, 0]
    assert split(0, []) == []


def test_time_without_anybody_and_weights_that_are_none_are_refused():
    with pytest.raises(AssertionError):
        split(1, [])
    for bad in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="finite"):
            split(1, [1.0, bad])


class Hands:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.time = 1000

    def __call__(self) -> int:
        return self.time


def test_python_between_steps_belongs_to_the_step_that_follows():
    hands = Hands()
    clock = Clock(hands, hands)
    hands.time += 5  # reading messages
    clock.begin_wait()
    hands.time += 100
    assert clock.end_wait() == 100
    hands.time += 7  # scheduling
    hands.time += 50  # the native call
    assert clock.step_done() == 5 + 7 + 50
    hands.time += 3
    assert clock.pending == 3
    hands.time += 20
    assert clock.step_done() == 23
    assert clock.read() == Reading(busy=85, idle=100, load=0)
    assert clock.check() == 0


@given(st.lists(st.tuples(st.sampled_from(["wait", "step", "python"]), st.integers(0, 10**9))))
def test_whatever_the_loop_does_its_time_is_accounted_once(moves):
    hands = Hands()
    clock, bills, waits = Clock(hands, hands), [], []
    for kind, long in moves:
        if kind == "wait":
            clock.begin_wait()
            hands.time += long
            assert clock.check() == 0
            waits.append(clock.end_wait())
        else:
            hands.time += long
            if kind == "step":
                bills.append(clock.step_done())
        assert clock.check() == 0
    reading = clock.read()
    assert (reading.busy, reading.idle) == (sum(bills), sum(waits))
    assert reading.busy + reading.idle + clock.pending == hands.time - 1000


def test_a_stretch_the_loop_did_not_account_for_shows_as_a_gap():
    hands, wall = Hands(), Hands()
    clock = Clock(hands, wall)
    hands.time += 10
    wall.time += 17
    clock.step_done()
    assert clock.check() == 7


def test_loading_is_a_class_of_its_own():
    hands = Hands()
    clock = Clock(hands, hands)
    clock.loading(900)
    hands.time += 4
    clock.step_done()
    assert clock.read() == Reading(busy=4, idle=0, load=900)
    assert clock.check() == 0
    assert clock.read().since(Reading(1, 0, 900)) == Reading(busy=3, idle=0, load=0)


def test_a_wait_that_still_lasts_counts_as_idle():
    hands = Hands()
    clock = Clock(hands, hands)
    clock.begin_wait()
    hands.time += 30
    assert clock.read().idle == 30


def test_waits_do_not_nest_and_steps_do_not_end_in_one():
    clock = Clock()
    with pytest.raises(AssertionError):
        clock.end_wait()
    clock.begin_wait()
    with pytest.raises(AssertionError):
        clock.begin_wait()
    with pytest.raises(AssertionError):
        clock.step_done()
