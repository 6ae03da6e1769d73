"""The engine as the server sees it: submit, cancel, and streams of tokens. Restarts what dies.

Knows token ids only. All of it runs in one event loop, which it never blocks.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from farthing.config import EngineConfig
from farthing.engine.child import Child
from farthing.engine.limits import MAX_WAITING, check_request
from farthing.engine.stream import Stream
from farthing.engine.types import Cancel, Counters, EngineInfo, Events, Request
from farthing.engine.wire import Ask, Ping, Stop, error
from farthing.errors import Busy, EngineDied, FarthingError, InputError

NATIVE = "farthing.engine.runner:NativeRunner"
PATIENCE = 5.0
"""Seconds a stopped engine has to end by itself."""
HASTE = 0.2
"""The same, for one that has nothing left to say."""
PAUSES = (0.0, 0.2, 0.5, 1.0)
"""Seconds before the first, second, ... attempt to start it again; the last one repeats."""
SUMS = (
    *("busy", "idle", "load", "steps", "preemptions"),
    *("prompt_tokens", "cached_tokens", "completion_tokens"),
)
"""Counters that go on where a dead engine left them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start the engine, the first time and again."""

    folder: Path
    config: EngineConfig
    factory: str


class EngineClient:
    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._child: Child | None = None
        self._info: EngineInfo | None = None
        self._streams: dict[str, Stream] = {}
        self._outbox: list[Ask] = []
        self._flushing = False
        self._before = Counters()
        self._now = Counters()
        self._pinged: list[asyncio.Future[None]] = []
        self._again: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.deaths = 0
        self.on_death: Callable[[], None] | None = None
        """Called when the engine has died, after its streams were failed."""
        self.on_step: Callable[[Events], None] | None = None
        """Called with all that each step gave, for live figures."""

    @classmethod
    async def start(cls, folder: Path, config: EngineConfig, *, factory: str = NATIVE) -> Self:
        """Raises what loading the model raised. `factory` is "module:function", for tests."""
        client = cls(Recipe(folder, config, factory))
        await client._start()
        return client

    @property
    def info(self) -> EngineInfo:
        assert self._info, "not started"
        return self._info

    @property
    def alive(self) -> bool:
        return self._child is not None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def clock(self) -> Counters:
        """As the engine last said, restarts included; `read` asks it first.

        What a dying engine did after its last word is in nobody's account.
        """
        sums = {name: getattr(self._before, name) + getattr(self._now, name) for name in SUMS}
        return msgspec.structs.replace(self._now, **sums)

    async def read(self) -> Counters:
        """`clock`, as it is now: an idle engine tells nothing by itself."""
        if self._child:
            answer = asyncio.get_running_loop().create_future()
            self._pinged.append(answer)
            self._send(Ping())
            await answer
        return self.clock

    def submit(self, request: Request) -> Stream:
        """Raises InputError, ContextTooLong or Busy. The stream raises EngineDied if it does."""
        info = self.info
        check_request(request, vocabulary=info.vocabulary, max_context=info.max_context)
        if request.id in self._streams:
            raise InputError(f"a request {request.id!r} is under way; give each its own id")
        if self._stopping.is_set():
            raise Busy("the engine is stopping; try again later")
        if len(self._streams) >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} requests are under way, and no more may; try again later")
        stream = self._streams[request.id] = Stream(request)
        self._send(request)
        return stream

    def cancel(self, id: str, keep: int | None = None) -> None:
        """Its stream ends with reason "cancelled", unless it ended before. See types.Cancel."""
        if id in self._streams:
            self._send(Cancel(id=id, keep=keep))

    async def stop(self, grace: float = 0.0) -> int:
        """Lets streams finish for `grace` seconds, cancels the rest, and ends the process.

        Returns its exit code: 0 if all went well.
        """
        self._stopping.set()
        if self._again:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._again  # cut short, it would leave a process behind
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await asyncio.gather(*(s.ended() for s in list(self._streams.values())))
        if not (child := self._child):
            self._fail_streams("the engine died, and is not started again")
            return 0
        self._send(Stop())
        return await child.ended(PATIENCE)

    async def _start(self) -> None:
        child = Child(self._told, self._gone)
        recipe = self._recipe
        try:
            self._info = await child.start(recipe.folder, recipe.config, recipe.factory)
            self._child = child
        finally:
            if self._child is not child:
                await child.ended(HASTE)
        self._now = Counters(load=self._info.load_nanoseconds, pages=self._info.pages)
        self._flush()

    def _send(self, ask: Ask) -> None:
        """All that is asked in one turn of the event loop goes out as one message."""
        self._outbox.append(ask)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._child and self._outbox:
            asks, self._outbox = self._outbox, []
            self._child.send(asks)

    def _told(self, events: Events) -> None:
        streams = self._streams
        for started in events.started:
            streams[started.request].cached_tokens = started.cached_tokens
        for charge in events.charges:
            streams[charge.request].charge(charge)
        for token in events.tokens:
            streams[token.request].push(token)
        for finished in events.finished:
            streams.pop(finished.request).end(finished)
        for refused in events.refused:
            streams.pop(refused.request).fail(error(refused.code, refused.message), "refused")
        self._now = events.counters
        self._answer_pings()
        if self.on_step:
            self.on_step(events)

    def _answer_pings(self) -> None:
        for answer in self._pinged:
            if not answer.done():
                answer.set_result(None)
        self._pinged.clear()

    def _gone(self, child: Child) -> None:
        if child is not self._child:
            return  # it died loading: whoever started it knows
        self._child = None
        sums = {name: getattr(self.clock, name) for name in SUMS}
        self._before, self._now = Counters(**sums), Counters()
        self._answer_pings()
        if not self._stopping.is_set():
            self.deaths += 1
            self._again = asyncio.get_running_loop().create_task(self._restart(child))
        self._fail_streams("the engine died while it answered; ask again")
        if self.on_death and not self._stopping.is_set():
            self.on_death()

    def _fail_streams(self, message: str) -> None:
        """All there are. Those that come after this wait for the next engine."""
        self._outbox.clear()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(EngineDied(message), "died")

    async def _restart(self, dead: Child) -> None:
        await dead.ended(HASTE)
        for attempt in range(1 << 30):
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSES[min(attempt, len(PAUSES) - 1)]):
                    await self._stopping.wait()
                return
            try:
                return await self._start()
            except (FarthingError, OSError) as why:
                self._fail_streams(f"the engine died, and could not be started again: {why}")
