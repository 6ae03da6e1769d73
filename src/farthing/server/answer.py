"""A job on its way out: one JSON object, or a stream of events. Always closed, whoever leaves."""

import asyncio
from contextlib import aclosing
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
    """Writes at most once a step. A client that leaves ends it at once."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.background = None
        self.over = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        job: Job = self.shape.job
        job.start()
        leaving = asyncio.create_task(gone(receive))
        try:
            leaving.add_done_callback(self._stop(asyncio.current_task()))
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await self._write(send)
        except asyncio.CancelledError:
            if not leaving.done():
                raise
        finally:
            self.over = True
            leaving.cancel()
            job.close()

    def _stop(self, writing: "asyncio.Task[Any] | None") -> Any:
        def stop(_: object) -> None:
            if not self.over and writing is not None:
                writing.cancel()

        return stop

    async def _write(self, send: Any) -> None:
        shape, ready = self.shape, self.shape.opening()
        try:
            async with aclosing(shape.job.pieces()) as pieces:
                async for choice, text in pieces:
                    body = ready + shape.delta(choice, text)
                    ready = b""
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            ready += shape.last()
        except FarthingError as error:
            ready += error_event(error)
        self.over = True
        await send({"type": "http.response.body", "body": ready + DONE})
