"""The command that was typed, for what is made to say how it is made again."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

_typed: ContextVar[tuple[str, ...]] = ContextVar("_typed", default=())


def note(words: Sequence[str]) -> None:
    """What stood after `farthing`."""
    _typed.set(tuple(words))


def text() -> str:
    return shlex.join(("farthing", *_typed.get()))
