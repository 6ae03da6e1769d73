"""Reading a request's body, bounded in bytes and in time, and noticing a client that left."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from farthing.server.refuse import Slow, TooLarge, WrongMedia
from farthing.server.state import State

T = TypeVar("T")


class Gone(Exception):
    """The client left before its answer. Nobody is there to be told."""


def state_of(request: Request) -> State:
    state: State = request.app.state.farthing
    return state


async def read(request: Request) -> bytes:
    """The whole body. Raises WrongMedia, TooLarge, Slow; Gone if the client left meanwhile."""
    state = state_of(request)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise WrongMedia(f"the body is {kind!r}; send JSON, with content-type: application/json")
    most = state.max_body_bytes
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise TooLarge(f"the body has {declared[:20]} bytes; at most {most} are taken")
    try:
        async with asyncio.timeout(state.body_seconds):
            return await _collect(request, most)
    except TimeoutError:
        raise Slow(
            f"the body took over {state.body_seconds:g} s to arrive; send it again"
        ) from None


async def _collect(request: Request, most: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise TooLarge(f"the body has over {most} bytes; no more are taken")
        if not message.get("more_body", False):
            return b"".join(parts)


async def gone(receive: Any) -> None:
    """Returns when the client has left (or has its whole answer)."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_gone(receive: Any, work: Coroutine[Any, Any, T]) -> T:
    """Do the work; if the client leaves first, cancel it and raise Gone."""
    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Gone
    finally:
        for each in (task, leaving):
            each.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)
