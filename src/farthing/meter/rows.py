"""What the ledger holds and what it answers: one row a request, one a stretch of the clock.

Knows nothing of databases.
"""

import time

import msgspec

from farthing.errors import InputError
from farthing.meter.attribution import Reading
from farthing.meter.rate import cost
from farthing.usage import Usage

LONGEST = 255
LARGEST = (1 << 63) - 1


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finished request. Refuses what a database would choke on: a bad row must not hold up
    the good ones of its batch."""

    id: str
    at: int
    """Nanoseconds since 1970, UTC."""
    key: str
    """The name of the API key, never the key."""
    model: str
    finish: str
    usage: Usage
    nanodollars: int
    hour_nanodollars: int
    """The price of an hour this was billed at."""

    def __post_init__(self) -> None:
        for name in ("id", "key", "model", "finish"):
            _check_text(name, getattr(self, name))
        used = self.usage
        _check_whole(
            *self.tokens, *used.nanoseconds, self.at, self.nanodollars, self.hour_nanodollars
        )

    @classmethod
    def billed(
        cls,
        *,
        id: str,
        key: str,
        model: str,
        finish: str,
        usage: Usage,
        hour_nanodollars: int,
        at: int | None = None,
    ) -> "RequestRow":
        """The row of a request that ended now, its time turned into money here and only here."""
        return cls(
            id=id,
            at=time.time_ns() if at is None else at,
            key=key,
            model=model,
            finish=finish,
            usage=usage,
            nanodollars=cost(sum(usage.nanoseconds), hour_nanodollars),
            hour_nanodollars=hour_nanodollars,
        )

    @property
    def tokens(self) -> tuple[int, int, int, int]:
        """By class: fresh, cached, decode, rejected."""
        used = self.usage
        fresh = used.prompt_tokens - used.cached_tokens
        return fresh, used.cached_tokens, used.completion_tokens, used.rejected_tokens


class ClockRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where the engine's time went between two moments of one run of it."""

    run: str
    begin: int
    """Nanoseconds since 1970, UTC; with `run` it names the row."""
    end: int
    spent: Reading
    hour_nanodollars: int
    """The price of an hour of having the machine, busy or idle."""

    def __post_init__(self) -> None:
        _check_text("run", self.run)
        spent = self.spent
        _check_whole(
            self.begin, self.end, spent.busy, spent.idle, spent.load, self.hour_nanodollars
        )


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Requests summed. Tuples are by class: fresh, cached, decode, rejected."""

    name: str
    requests: int = 0
    tokens: tuple[int, int, int, int] = (0, 0, 0, 0)
    nanoseconds: tuple[int, int, int, int] = (0, 0, 0, 0)
    nanodollars: int = 0

    @property
    def time(self) -> int:
        return sum(self.nanoseconds)


class ClockTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The clock summed, and what having the machine cost meanwhile."""

    spent: Reading = Reading()
    nanodollars: int = 0

    @property
    def time(self) -> int:
        return self.spent.busy + self.spent.idle + self.spent.load


def _check_text(name: str, value: str) -> None:
    if not 0 < len(value) <= LONGEST or not value.isprintable():
        raise InputError(
            f"{name} is {value[:40]!r} ({len(value)} characters); 1 to {LONGEST} printable"
            " characters were expected"
        )


def _check_whole(*values: int) -> None:
    for value in values:
        if not 0 <= value <= LARGEST:
            raise InputError(f"{value} for the ledger; whole numbers from 0 to 2^63-1 fit")
