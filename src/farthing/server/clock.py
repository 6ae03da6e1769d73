"""Writes where the engine's time went to the ledger: each second it worked, else now and then."""

import asyncio
import secrets
import time
from collections.abc import Callable

from farthing.engine.client import EngineClient
from farthing.engine.types import Counters
from farthing.meter.attribution import Reading
from farthing.meter.rate import MachinePrice
from farthing.meter.rows import ClockRow
from farthing.meter.writer import Writer

EVERY = 1.0
"""Seconds between rows while the engine works."""
IDLE = 15
"""Beats between rows while it has nothing to do."""
ANSWER_SECONDS = 1.0
"""How long an engine may take to say where it stands."""


async def counters(engine: EngineClient) -> Counters:
    """As they are now; as they were last told, if the engine is too deep in a step to say."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await engine.read()
    except TimeoutError:
        return engine.clock


class Beat:
    """`each` is called with every beat."""

    def __init__(
        self,
        engine: EngineClient,
        writer: Writer,
        price: MachinePrice,
        each: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine, self.writer, self.each = engine, writer, each
        self.hour_nanodollars = price.owned_nanodollars
        self.name = secrets.token_hex(8)
        """Names this run of the server: with a row's begin it is the row's key."""
        self._written = Reading()
        self._at = time.time_ns()

    async def run(self) -> None:
        quiet = 0
        while True:
            await asyncio.sleep(EVERY)
            self.each()
            quiet += 1
            if quiet >= IDLE or self.engine.clock.busy != self._written.busy:
                quiet = 0
                self._write(await counters(self.engine))

    async def last(self) -> None:
        self._write(await counters(self.engine))

    def _write(self, told: Counters) -> None:
        now, reading = time.time_ns(), Reading(told.busy, told.idle, told.load)
        if reading == self._written:
            return
        # The wall clock may be set back; a row never ends before it begins.
        end = max(now, self._at + 1)
        self.writer.add(
            ClockRow(
                run=self.name,
                begin=self._at,
                end=end,
                spent=reading.since(self._written),
                hour_nanodollars=self.hour_nanodollars,
            )
        )
        self._written, self._at = reading, end
