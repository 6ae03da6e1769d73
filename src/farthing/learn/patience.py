"""Waiting for an endpoint that is away: pauses that grow, shared by all who ask, and told of."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import TypeVar

from farthing.errors import Busy, InputError
from farthing.learn.endpoint import Failed, Gone, Refused

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
TRIES = 6
"""Of a question at which the endpoint fails while it answers others."""
TOLD_AGAIN = 60.0
"""Seconds until it is told again that the endpoint is away; then twice as long."""

T = TypeVar("T")
Say = Callable[[str], None]


class Patience:
    def __init__(self, url: str, seconds: float, say: Say) -> None:
        """Raises Busy from `ask` once the endpoint has been away for so many seconds."""
        self.url, self.seconds, self.say = url, seconds, say
        self.answers = 0
        """Questions answered. What fails before the first is a wrong setting, not an outage."""
        self.away_since: float | None = None
        self._tell_next = 0.0
        self._back = asyncio.Event()
        self._chance = Random()

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer, however long it takes. Raises Refused, or Failed where the endpoint fails
        again and again at this one question and answers others in between."""
        pause, fails, seen = FIRST_PAUSE, 0, -1
        while True:
            try:
                found = await question()
            except Refused as error:
                if not self.answers:
                    raise InputError(f"{self.url}: {error}") from None
                raise
            except Failed as error:
                if not self.answers:
                    raise InputError(f"{self.url}: {error}") from None
                fails, seen = fails + (self.answers > seen), self.answers
                if fails >= TRIES:
                    raise
                await self._wait(error, pause)
            except Gone as error:
                await self._wait(error, pause)
            else:
                self._answered()
                return found
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _wait(self, gone: Gone, pause: float) -> None:
        now = time.monotonic()
        if self.away_since is None:
            self.away_since, self._tell_next = now, TOLD_AGAIN
            self._back.clear()
            self.say(f"{self.url} is away ({gone}); it is asked again and again, nothing is lost")
        away = now - self.away_since
        if away > self.seconds:
            raise Busy(
                f"{self.url} has been away for {away:.0f} s ({gone}); all answers so far are kept:"
                " the same command goes on from there"
            )
        if away > self._tell_next:
            self._tell_next = 2 * away
            self.say(f"{self.url} has been away for {away / 60:.0f} min ({gone})")
        with suppress(TimeoutError):
            # Whoever hears from it first wakes the others; not all at the same moment.
            seconds = max(pause * self._chance.uniform(0.5, 1.0), gone.pause)
            await asyncio.wait_for(self._back.wait(), seconds)
            await asyncio.sleep(self._chance.uniform(0, FIRST_PAUSE))

    def _answered(self) -> None:
        self.answers += 1
        if self.away_since is not None:
            self.say(f"{self.url} is back after {time.monotonic() - self.away_since:.0f} s")
            self.away_since = None
        self._back.set()
