"""The comparison says who is cheaper, and from which utilisation on."""

from hypothesis import given
from hypothesis import strategies as st

from farthing.meter.against import compare
from farthing.meter.attribution import Reading
from farthing.meter.prices import Price
from farthing.meter.rate import HOUR, NANO, cost
from farthing.meter.rows import ClockTotal, Line

PRICE = 10**9  # one dollar an hour


def price(decode, fresh=0):
    return Price(name="x", fresh=fresh, cached=0, decode=decode, source="s", date="d")


def worked(hours, tokens=10**6):
    time = hours * HOUR
    return Line(
        name="all",
        requests=1,
        tokens=(tokens, 7, tokens, 3),
        nanoseconds=(time // 2, 0, time - time // 2, 0),
        nanodollars=cost(time, PRICE),
    )


def clock(busy, idle):
    time = (busy + idle) * HOUR
    return ClockTotal(
        spent=Reading(busy=busy * HOUR, idle=idle * HOUR), nanodollars=cost(time, PRICE)
    )


def test_cheaper_even_with_idle_time():
    found = compare(worked(1), clock(1, 3), price(10 * NANO), PRICE)
    assert (found.theirs, found.used, found.reserved) == (10 * NANO, NANO, 4 * NANO)
    assert (found.utilisation, found.even) == (0.25, 0.1)
    assert "We are cheaper, idle time included: they ask 2.5 times" in found.verdict


def test_cheaper_only_when_it_works_more():
    found = compare(worked(1), clock(1, 19), price(10 * NANO), PRICE)
    assert (found.utilisation, found.even) == (0.05, 0.1)
    assert found.verdict.startswith("They are cheaper today")
    assert "5 % of the time; we are cheaper from 10 % on" in found.verdict


def test_never_cheaper_is_said_plainly():
    found = compare(worked(5), clock(5, 0), price(2 * NANO), PRICE)
    assert found.even == 2.5
    assert found.verdict.startswith("They are cheaper. Even if it worked every second")


def test_without_a_clock_the_price_of_the_hour_stands_in():
    found = compare(worked(1), ClockTotal(), price(4 * NANO), PRICE)
    assert (found.reserved, found.utilisation, found.even) == (None, None, 0.25)
    assert "once this machine works 25 % of its time" in found.verdict


def test_nothing_used_is_nothing_to_compare():
    found = compare(Line(name="all"), clock(0, 1), price(NANO), PRICE)
    assert found.even is None
    assert "nothing to compare" in found.verdict


@given(st.integers(1, 100), st.integers(0, 1000), st.integers(1, 10**12))
def test_the_meeting_point_is_where_reserved_equals_theirs(busy, idle, theirs):
    found = compare(worked(busy), clock(busy, idle), price(theirs), PRICE)
    cheaper = found.reserved < found.theirs
    assert cheaper == (found.even < found.utilisation) or found.reserved == found.theirs
