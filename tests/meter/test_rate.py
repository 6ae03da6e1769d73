"""An hour's price comes out as by hand, and money never drifts."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InputError
from farthing.meter.rate import HOUR, NANO, MachinePrice, bill, cost, dollars, per_million

prices = st.integers(0, 10**13)
classes = st.lists(st.integers(0, 10**15), min_size=4, max_size=4)


def test_the_default_hour_is_what_a_hand_works_out():
    # 400 / (4 * 8766) = 0.011407711..., and 0.02 kW * 0.15 = 0.003
    assert MachinePrice().hour_nanodollars == 14_407_712
    assert MachinePrice().owned_nanodollars == 14_407_712


def test_a_machine_that_works_a_quarter_of_its_life_costs_four_times_an_hour():
    part = MachinePrice(utilisation=Fraction(1, 4))
    assert part.hour_nanodollars == round(4 * Fraction(400, 4 * 8766) * NANO + 4 * 3_000_000)
    assert part.owned_nanodollars == MachinePrice().owned_nanodollars


def test_a_flat_hour_stands_for_itself():
    assert MachinePrice(hour=Fraction(3, 100)).hour_nanodollars == 30_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [("capital", -1), ("years", 0), ("utilisation", 0), ("utilisation", 2), ("hour", 10**13)],
)
def test_a_price_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        MachinePrice(**{name: Fraction(value)})


@given(classes, prices)
def test_a_bill_is_rounded_once_and_its_classes_sum_to_it(nanoseconds, hour):
    total, parts = bill(nanoseconds, hour)
    assert sum(parts) == total
    assert abs(total - Fraction(sum(nanoseconds) * hour, HOUR)) <= Fraction(1, 2)


@given(st.lists(st.integers(0, 10**12), max_size=200), prices)
def test_many_small_bills_stay_within_half_a_nanodollar_each_of_the_whole(times, hour):
    apart = sum(cost(each, hour) for each in times)
    assert abs(apart - Fraction(sum(times) * hour, HOUR)) <= Fraction(len(times), 2)


@given(st.integers(0, 10**15), st.integers(0, 10**15), prices)
def test_more_time_never_costs_less(one, other, hour):
    assert (one <= other) <= (cost(one, hour) <= cost(other, hour))


def test_a_whole_hour_costs_the_hour_to_the_nanodollar():
    assert cost(HOUR, 14_407_712) == 14_407_712
    assert cost(HOUR * 8766, 14_407_713) == 14_407_713 * 8766


def test_a_million_tokens_at_a_measured_speed():
    # 1,000 tokens/s make a million in 1000 s, which is 1000/3600 of an hour.
    assert per_million(1000.0, 36_000_000) == 10_000_000
    for bad in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError):
            per_million(bad, 1)


def test_dollars_are_cents_or_three_figures_that_count():
    shown = [dollars(n) for n in (0, 3, 1234, 14_407_712, 999_000_000, 1_234_567_000_000)]
    assert shown == ["$0.00", "$0.000000003", "$0.00000123", "$0.0144", "$0.999", "$1,234.57"]
