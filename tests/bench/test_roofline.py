"""The least time of a step is the sum over ops of the larger of bytes and arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.bench.machine import LARGEST, SMALLEST, nearest_rung
from farthing.bench.roofline import Roof
from farthing.ops.work import OpWork

PEAKS = {"int8": 100.0, "bf16": 50.0, "fp32": 10.0}
ROOF = Roof(lambda size: 4.0, PEAKS.__getitem__)


def test_an_op_costs_its_bytes_or_its_arithmetic_whichever_is_longer():
    assert ROOF.seconds([OpWork("linear", 8, int8=100)]) == 2.0
    assert ROOF.seconds([OpWork("linear", 8, int8=700)]) == 7.0


def test_ops_follow_one_another():
    """The larger of the sums would let one op's bytes hide behind another's arithmetic."""
    work = [OpWork("linear", 8, int8=100), OpWork("attention", 4, bf16=250)]
    assert ROOF.seconds(work) == 2.0 + 5.0


def test_kinds_of_arithmetic_within_an_op_add_up():
    assert ROOF.seconds([OpWork("mixed", 1, int8=100, bf16=50, fp32=10)]) == 3.0


def test_ops_of_one_name_are_told_together():
    work = [OpWork("linear", 8, int8=100), OpWork("attention", 4, bf16=250), OpWork("linear", 4)]
    assert ROOF.parts(work) == {"linear": 3.0, "attention": 5.0}
    assert ROOF.parts([]) == {} and ROOF.seconds([]) == 0.0


def test_bandwidth_is_that_of_all_the_step_touches():
    asked = []

    def read(size):
        asked.append(size)
        return 1.0

    Roof(read, PEAKS.__getitem__).seconds([OpWork("a", 3), OpWork("b", 4)])
    assert asked == [7]


def test_a_step_of_nothing_takes_no_time():
    assert ROOF.seconds([]) == 0.0


def test_the_mean_is_over_steps():
    assert ROOF.mean_seconds([[OpWork("a", 4)], [OpWork("a", 12)]]) == 2.0


@given(st.integers(1, 1 << 40))
def test_a_rung_is_within_a_quarter_of_what_is_asked_or_at_an_end(size):
    rung = nearest_rung(size)
    assert SMALLEST <= rung <= LARGEST
    if SMALLEST <= size <= LARGEST:
        assert max(rung / size, size / rung) < 1.25


@pytest.mark.parametrize("size", [1 << 20, 3 << 20, 96 << 20, LARGEST])
def test_a_rung_is_its_own_nearest(size):
    assert nearest_rung(size) == size
