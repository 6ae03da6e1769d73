"""What a decode step costs beside the native call: Python, messages, waiting.

Measured where it happens, in the engine's own process, while a client in this one reads streams.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from farthing.bench.rig import random_tokens
from farthing.config import EngineConfig
from farthing.engine.client import NATIVE, EngineClient
from farthing.engine.stream import Stream
from farthing.engine.types import Events, Request, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    steps: int
    step_seconds: float
    """Of the engine's loop, one step with another."""
    native_seconds: float
    """Of it, in the call of the runner."""

    @property
    def share(self) -> float:
        return 1 - self.native_seconds / self.step_seconds


class _Watch:
    """Sums the steps in which all sequences decode; the first and last few are left out."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.busy: list[int] = []
        self.native: list[int] = []

    def __call__(self, events: Events) -> None:
        if len(events.tokens) == len(events.charges) == self.batch:
            self.busy.append(events.counters.busy)
            self.native.append(events.step_nanoseconds)

    def overhead(self) -> Overhead:
        steps = len(self.busy) - 1
        assert steps > 0, "no two steps with the whole batch in them"
        return Overhead(
            steps=steps,
            step_seconds=(self.busy[-1] - self.busy[0]) / steps / 1e9,
            native_seconds=sum(self.native[1:]) / steps / 1e9,
        )


def measure(
    folder: Path, config: EngineConfig, *, batch: int = 32, tokens: int = 128, factory: str = NATIVE
) -> Overhead:
    return asyncio.run(_measure(folder, config, batch, tokens, factory))


async def _measure(
    folder: Path, config: EngineConfig, batch: int, tokens: int, factory: str
) -> Overhead:
    client = await EngineClient.start(folder, config, factory=factory)
    watch = _Watch(batch)
    client.on_step = watch
    try:
        asked = [_request(client, index, tokens) for index in range(batch)]
        await asyncio.gather(*(_read(client.submit(request)) for request in asked))
    finally:
        await client.stop()
    return watch.overhead()


def _request(client: EngineClient, index: int, tokens: int) -> Request:
    prompt = random_tokens(126, client.info.vocabulary, index).tolist()
    sampling = Sampling(temperature=0.0)
    return Request(id=str(index), tokens=prompt, max_tokens=tokens, sampling=sampling)


async def _read(stream: Stream) -> None:
    async for _ in stream:
        pass
