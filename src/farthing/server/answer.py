"""A job on its way out: one JSON object, or a stream of events. Always closed, whoever leaves."""

import asyncio
from contextlib import aclosing
from time import monotonic
from typing import Any

from fastapi import Request, Response

from farthing.errors import FarthingError
from farthing.server.body import gone, unless_gone
from farthing.server.job import Job
from farthing.server.shapes import DONE, Shape, error_event

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


async def answer(request: Request, shape: Shape) -> Response:
    if shape.job.plan.stream:
        return EventStream(shape)
    body = await unless_gone(request.receive, whole(shape))
    return Response(body, media_type="application/json")


async def whole(shape: Shape) -> bytes:
    job = shape.job
    texts: list[list[str]] = [[] for _ in job.choices]
    job.start()
    try:
        async with aclosing(job.pieces()) as pieces:
            async for choice, text in pieces:
                texts[choice.index].append(text)
        return shape.all(["".join(parts) for parts in texts])
    finally:
        job.close()


class EventStream(Response):
    """Writes at most once a step. A client that leaves ends it at once; one that does not read
    ends it when the server's beat calls `check`."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.background = None
        self.over = False
        self.writing_since = 0.0
        """0 while nothing is being written."""
        self.cut_off = False
        self._task: asyncio.Task[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        job: Job = self.shape.job
        job.start()
        job.state.streams.add(self)
        self._task = asyncio.current_task()
        leaving = asyncio.create_task(gone(receive))
        leaving.add_done_callback(lambda _: self._cut())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await self._write(send)
        except asyncio.CancelledError:
            if not self.cut_off:
                raise
        finally:
            self.over = True
            leaving.cancel()
            job.state.streams.discard(self)
            job.close()

    def check(self, now: float, patience: float) -> None:
        """End it if its client has read nothing for so many seconds."""
        if self.writing_since and now - self.writing_since > patience:
            self._cut()

    def _cut(self) -> None:
        if not self.over and self._task is not None:
            self.cut_off = True
            self._task.cancel()

    async def _write(self, send: Any) -> None:
        shape, ready = self.shape, self.shape.opening()
        try:
            async with aclosing(shape.job.pieces()) as pieces:
                async for choice, text in pieces:
                    body = ready + shape.delta(choice, text)
                    ready = b""
                    self.writing_since = monotonic()
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    self.writing_since = 0.0
            ready += shape.last()
        except FarthingError as error:
            ready += error_event(error)
        self.over = True
        await send({"type": "http.response.body", "body": ready + DONE})
