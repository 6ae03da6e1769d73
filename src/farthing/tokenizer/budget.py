"""How much a template may do: time, the size of a value, and all it makes. Knows no jinja2."""

import time
from collections.abc import ItemsView as Items
from collections.abc import Iterator, KeysView, ValuesView
from contextvars import ContextVar
from typing import Any

CPU_SECONDS = 0.5
LARGEST = 4 << 20
TOTAL = 32 << 20
DEEPEST = 100
# What a list entry or a number counts beside characters: about its bytes over a character's.
NODE = 16
_TICKS_A_LOOK = 16


class TooMuch(Exception):
    """The template went over its budget."""


class Budget:
    """One rendering's. Sizes are in characters; every other value counts as NODE of them."""

    def __init__(self, given: int = 0) -> None:
        """`given` is the size of what the template is given."""
        self._largest = LARGEST + 4 * given
        self._left = TOTAL + 64 * given
        self._ticks = 0
        # The thread's own clock: a busy machine must not make a good template fail.
        self._until = time.thread_time() + CPU_SECONDS

    def tick(self, characters: int = 0) -> bool:
        """One more step, which writes so many characters. Always true: it stands in conditions."""
        self._ticks += 1
        if self._ticks % _TICKS_A_LOOK == 0 and time.thread_time() > self._until:
            raise TooMuch(f"it takes more than {CPU_SECONDS} s")
        if characters:
            self.need(characters)
        return True

    def need(self, characters: int) -> None:
        """Asks for room before something of that size is made."""
        self._left -= characters
        if characters > self._largest or self._left < 0:
            raise TooMuch(f"it makes values of more than {self._largest} characters")

    def made(self, value: Any) -> Any:
        """The value, once its size is known to be fit. What is lazy is made at once: a chain of
        generators has no size."""
        if isinstance(value, Iterator | KeysView | ValuesView | Items):
            value = list(self._pulled(value))
        size, _ = measure(value, self._largest)
        if size > self._largest:
            raise TooMuch(f"it makes values of more than {self._largest} characters")
        # What was allocated just now: the parts were counted when they were made.
        self.tick(len(value) * (1 if isinstance(value, str) else NODE) if _sized(value) else NODE)
        return value

    def _pulled(self, values: Any) -> Iterator[Any]:
        for value in values:
            self.tick(NODE)
            yield value


def measure(value: Any, largest: int) -> tuple[int, int]:
    """Size and depth of a value, parts met twice counted twice, as printing would meet them.

    Stops early above `largest`. An iteration, not a recursion: the value may be hostile.
    """
    if isinstance(value, str):
        return len(value), 0
    size, deepest, rest = 0, 0, [(value, 1)]
    while rest and size <= largest:
        part, depth = rest.pop()
        size += len(part) if isinstance(part, str) else NODE
        if isinstance(part, int):
            size += part.bit_length()
        elif isinstance(part, dict):
            rest.extend((inner, depth + 1) for pair in part.items() for inner in pair)
        elif isinstance(part, list | tuple | set | frozenset):
            if size + NODE * len(part) > largest:
                return largest + 1, depth
            rest.extend((inner, depth + 1) for inner in part)
        deepest = max(deepest, depth)
        if depth > DEEPEST:
            raise TooMuch(f"it nests values more than {DEEPEST} deep")
    return size, deepest


def _sized(value: Any) -> bool:
    return isinstance(value, str | bytes | list | tuple | dict | set | frozenset)


CURRENT: ContextVar[Budget] = ContextVar("CURRENT")
"""The budget of the rendering under way: jinja2 hands filters no place to carry it."""
