"""What all routes share: the model's text and limits, the engine, the money, what is in flight."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from farthing.engine.client import EngineClient
from farthing.errors import NotFound
from farthing.server.about import About
from farthing.server.bills import Bills
from farthing.server.limits import Limits
from farthing.server.metrics import Metrics
from farthing.server.plan import Model
from farthing.tokenizer import Tokenizer

if TYPE_CHECKING:
    from farthing.server.answer import EventStream
    from farthing.server.job import Job

T = TypeVar("T")
SHORT = 2_000
"""Characters that are encoded in the event loop: a millisecond or two. A thread costs less than
more of them would."""


@dataclass(kw_only=True)
class State:
    names: tuple[str, ...]
    """What clients may call the model; the first is what answers say."""
    created: int
    model: Model
    tokenizer: Tokenizer
    engine: EngineClient
    bills: Bills
    limits: Limits
    metrics: Metrics
    about: About
    """What /v1/models and the page tell of the model: weights, bits, instruction set."""
    max_body_bytes: int = 4 << 20
    body_seconds: float = 30.0
    patience_seconds: float = 60.0
    """How long a client may leave a stream unread."""
    streams: "set[EventStream]" = field(default_factory=set)
    jobs: "set[Job]" = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    workers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="text")
    )

    def check_name(self, name: str | None) -> None:
        if name is not None and name not in self.names:
            error = NotFound(f"no model {name!r} here; this server has {', '.join(self.names)}")
            error.code = "model_not_found"
            raise error

    async def work(self, characters: int, job: Callable[[], T]) -> T:
        """Run it here if it is short, in a thread if it would hold up the streams."""
        if characters <= SHORT:
            return job()
        return await asyncio.get_running_loop().run_in_executor(self.workers, job)

    def check_streams(self) -> None:
        """Called each second: a client that stops reading must not keep its place for ever."""
        now = monotonic()
        for stream in list(self.streams):
            stream.check(now, self.patience_seconds)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A task that outlives its request; the server's end waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
