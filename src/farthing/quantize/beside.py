"""Work side by side in a few threads; what depends on order is done in order.

Nothing that comes out depends on how many threads there are.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

THREADS = 2
"""Each product has its share of the cores (cli/blas.py): more pieces at once would take memory."""

After = Callable[[], None]
"""What is left of a piece of work, to be done in the order of the pieces."""


def each(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """What tasks return, in their order."""
    first, *others = tasks
    if not others:
        return [first()]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda task: task(), [first, *others]))


def both(first: Callable[[], A], second: Callable[[], B], *, in_turn: bool = False) -> tuple[A, B]:
    """What both return: one after the other where there is no room for both."""
    if in_turn:
        return first(), second()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()


def in_order(play: Callable[[T], After | None], pieces: Iterable[T]) -> None:
    """Plays pieces, and what each leaves is done here, in their order.

    Of few pieces at once, the one that is done with among them: memory holds no more.
    """
    waiting = iter(pieces)
    with ThreadPoolExecutor(THREADS) as pool:
        played: deque[Future[After | None]] = deque(
            pool.submit(play, piece) for piece in islice(waiting, THREADS + 1)
        )
        try:
            while played:
                after = played.popleft().result()
                if after is not None:
                    after()
                played.extend(pool.submit(play, piece) for piece in islice(waiting, 1))
        finally:
            for future in played:
                future.cancel()
