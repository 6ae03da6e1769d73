"""Rows are taken in turn, the warm-up does not count, and figures are in their order."""

from hypothesis import given
from hypothesis import strategies as st

from farthing.bench.series import Series, interleaved


def test_rows_take_turns_and_the_first_turn_does_not_count():
    order = []

    def row(name):
        def measure():
            order.append(name)
            return float(len(order))

        return measure

    taken = interleaved({name: row(name) for name in "ABC"}, 2)
    assert "".join(order) == "ABCABCABC"
    assert taken["B"].values == (5.0, 8.0)


@given(st.lists(st.floats(0.1, 1e6), min_size=1))
def test_the_median_lies_between_worst_and_best(values):
    series = Series(tuple(values))
    assert series.worst <= series.median <= series.best
    assert series.spread >= 0


def test_one_outlier_does_not_move_the_median():
    assert Series((10.0, 11.0, 500.0)).median == 11.0
