"""How a server ends: told once it lets answers finish for a while, told twice it hurries."""

import asyncio
import os
import signal

from farthing.engine.client import EngineClient
from farthing.server.state import State

LAST_WORDS = 1.0
"""Seconds that answers told to end have for saying so."""
PATIENCE = 2.0
"""Seconds an engine has to end by itself."""


class Ending:
    """Set by SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.tell)

    def tell(self) -> None:
        (self.hurry if self.told.is_set() else self.told).set()


async def drain(state: State, grace_seconds: float, hurry: asyncio.Event) -> None:
    """Takes nothing new, lets what runs finish for the grace, then ends it with an error."""
    state.limits.stopping = True
    waiting = asyncio.create_task(_until_idle(state))
    hurrying = asyncio.create_task(hurry.wait())
    both = {waiting, hurrying}
    await asyncio.wait(both, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
    for job in list(state.jobs):
        job.stop()
    await asyncio.wait({waiting}, timeout=LAST_WORDS)
    for task in both:
        task.cancel()


async def end_engine(engine: EngineClient, bills: set[asyncio.Task[None]]) -> None:
    """Ends it, whatever it hangs in; the bills that wait for its last word are written then."""
    try:
        async with asyncio.timeout(PATIENCE):
            await engine.stop()
    except TimeoutError:
        if engine.pid is not None:
            os.kill(engine.pid, signal.SIGKILL)
        await engine.stop()
    if bills:
        await asyncio.wait(bills, timeout=LAST_WORDS)


async def _until_idle(state: State) -> None:
    while state.jobs:
        await asyncio.sleep(0.02)
