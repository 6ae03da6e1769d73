"""Work side by side: what depends on order is done in order, and little of it is held at once."""

import time
from threading import Event, Lock

import pytest

from farthing.quantize import beside
from farthing.quantize.beside import After


def test_what_pieces_leave_is_done_in_their_order_however_long_each_takes() -> None:
    done: list[int] = []

    def play(piece: int) -> After:
        time.sleep(0.01 if piece % 3 == 0 else 0)
        return lambda: done.append(piece)

    beside.in_order(play, range(20))
    assert done == list(range(20))


def test_two_are_played_side_by_side() -> None:
    """Each waits for the other: one alone would never end."""
    there = [Event(), Event()]

    def play(piece: int) -> None:
        there[piece].set()
        assert there[1 - piece].wait(20)

    beside.in_order(play, range(2))


def test_few_pieces_are_begun_before_the_first_is_done_with() -> None:
    begun, most, lock = set[int](), [0], Lock()

    def play(piece: int) -> After:
        with lock:
            begun.add(piece)
            most[0] = max(most[0], len(begun))
        return lambda: begun.discard(piece)

    beside.in_order(play, range(50))
    assert most[0] <= beside.THREADS + 1


@pytest.mark.parametrize("where", ["played", "left"])
def test_an_error_ends_it_and_nothing_after_is_done(where: str) -> None:
    done: list[int] = []

    def broken() -> None:
        raise ValueError("of piece 3")

    def play(piece: int) -> After:
        if piece == 3 and where == "played":
            broken()
        return broken if piece == 3 else lambda: done.append(piece)

    with pytest.raises(ValueError, match="of piece 3"):
        beside.in_order(play, range(1000))
    assert done == [0, 1, 2]


def test_results_come_in_the_tasks_order() -> None:
    assert beside.each([lambda: 1, lambda: 2, lambda: 3]) == [1, 2, 3]
    for in_turn in (False, True):
        assert beside.both(lambda: "a", lambda: 1, in_turn=in_turn) == ("a", 1)
