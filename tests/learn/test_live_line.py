"""The live line says where a run is, and what is left of it."""

import pytest

from farthing.learn.live import Live, counted, duration
from farthing.meter.rate import NANO

FACTS = {"steps": 100, "flops_a_token": 1e6, "peak": 1e11, "processes": 1}


def line(step: int, **more):
    return {
        "step": step,
        "tokens": step * 1000,
        "loss": 3.0,
        "seconds": 0.5,
        "elapsed": step * 1.0,
        "imbalance": {"1": 1.25, "2": 1.5},
    } | more


def test_speed_is_that_of_steps_and_time_left_that_of_all():
    live = Live(FACTS, hour=3600 * NANO)  # a dollar a second
    for step in range(1, 41):
        live.told(line(step))
    assert live.speed() == pytest.approx(2000)
    assert live.share() == pytest.approx(0.02)
    assert live.left() == pytest.approx(60)
    told = live.text()
    for words in ("step 40/100", "2,000 tokens/s", "2.0% of peak", "balance 1.50"):
        assert words in told
    assert "$40.00 spent, $60.00 and 1 m 00 s left" in told


def test_the_first_step_has_a_line_of_its_own():
    live = Live(FACTS, hour=0)
    live.told(line(1, imbalance={}))
    assert live.left() == pytest.approx(99 * 0.5)
    assert "balance" not in live.text() and "held out" not in live.text()


def test_the_share_is_of_the_peaks_of_all_processes():
    live = Live(FACTS | {"processes": 4}, hour=0)
    live.told(line(1))
    assert live.share() == pytest.approx(0.02 / 4)


def test_held_out_loss_stays_until_the_next_look():
    live = Live(FACTS, hour=0)
    live.told(line(1, held_out={"a": {"loss": 2.0}, "b": {"loss": 4.0}}))
    live.told(line(2))
    assert "held out 3.000" in live.text()


@pytest.mark.parametrize(
    ("seconds", "words"), [(8.2, "8 s"), (750, "12 m 30 s"), (14_702, "4 h 05 m")]
)
def test_durations_are_for_people(seconds, words):
    assert duration(seconds) == words


def test_one_is_told_as_one():
    assert (counted(1, "thread"), counted(2, "thread")) == ("1 thread", "2 threads")
