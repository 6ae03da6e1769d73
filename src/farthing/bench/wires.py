"""A light HTTP client for one streamed completion: it must not take the server's cores.

Knows chunked transfer and server-sent events, and of JSON only what a load test needs.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

import msgspec

from farthing.errors import InputError

MOST_HEAD = 1 << 16


class Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None


class ChunkChoice(msgspec.Struct):
    text: str | None = None
    delta: Delta | None = None

    def spoke(self) -> bool:
        delta = self.delta
        return bool(self.text or (delta and (delta.content or delta.reasoning_content)))


class ChunkUsage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(msgspec.Struct):
    choices: list[ChunkChoice] = []
    usage: ChunkUsage | None = None
    error: Any = None


class Outcome(msgspec.Struct):
    """One request: seconds since the run began. `error` is None if all went well."""

    began: float
    times: list[float] = []
    """When text came."""
    ended: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None


class Stream(asyncio.Protocol):
    """Sends one request and notes when text comes. `done` is called once, with the outcome."""

    _decode = msgspec.json.Decoder(Chunk).decode

    def __init__(self, request: bytes, origin: float, done: Callable[[Outcome], None]) -> None:
        self._request, self._origin, self._done = request, origin, done
        self.outcome = Outcome(began=perf_counter() - origin)
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._events = bytearray()
        self._head: bytes | None = None
        self._chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.outcome.began = perf_counter() - self._origin
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = perf_counter() - self._origin
        self._buffer += data
        if self._head is None and not self._read_head():
            return
        body = self._dechunk() if self._chunked else self._take()
        self._events += body
        *events, rest = self._events.split(b"\n\n")
        self._events = rest
        for event in events:
            self._read(event, now)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEAD:
                self._end("a response head without an end")
            return False
        self._head = bytes(self._buffer[:end]).lower()
        del self._buffer[: end + 4]
        self._chunked = b"transfer-encoding: chunked" in self._head
        return True

    def _take(self) -> bytes:
        body = bytes(self._buffer)
        self._buffer.clear()
        return body

    def _dechunk(self) -> bytes:
        parts, at, buffer = [], 0, self._buffer
        while (line := buffer.find(b"\r\n", at)) >= 0:
            size = int(bytes(buffer[at:line]).partition(b";")[0], 16)
            if len(buffer) < line + size + 4:
                break
            parts.append(bytes(buffer[line + 2 : line + 2 + size]))
            at = line + size + 4
            if not size:
                self._events += b"".join(parts)
                parts = []
                self._finish()
                break
        del buffer[:at]
        return b"".join(parts)

    def _read(self, event: bytes | bytearray, now: float) -> None:
        if not event.startswith(b"data:"):
            return
        text = bytes(event[5:]).strip()
        if text == b"[DONE]":
            return self._end(None)
        try:
            chunk = self._decode(text)
        except msgspec.DecodeError as error:
            return self._end(f"a chunk that is not understood: {error}")
        if chunk.error is not None:
            return self._end(msgspec.json.encode(chunk.error).decode()[:300])
        if any(choice.spoke() for choice in chunk.choices):
            self.outcome.times.append(now)
        if chunk.usage is not None:
            self.outcome.prompt_tokens = chunk.usage.prompt_tokens
            self.outcome.completion_tokens = chunk.usage.completion_tokens

    def _finish(self) -> None:
        """The body's end: a stream has said [DONE] before it, an error has not."""
        rest, self._events = bytes(self._events), bytearray()
        for event in rest.split(b"\n\n"):
            self._read(event, perf_counter() - self._origin)
        self._end((bytes(self._head or b"")[:40] + b": " + rest[:300]).decode(errors="replace"))

    def _end(self, error: str | None) -> None:
        if self.outcome.ended:
            return
        self.outcome.ended = perf_counter() - self._origin
        self.outcome.error = error
        if self._transport is not None:
            self._transport.close()
        self._done(self.outcome)

    def connection_lost(self, exc: Exception | None) -> None:
        head = (self._head or b"no answer")[:40].decode(errors="replace")
        self._end(f"{head}: the connection ended early {exc or ''}".strip())


async def ask(host: str, port: int, request: bytes, origin: float) -> Outcome:
    """One request on a connection of its own. Never raises for what the server does."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Outcome] = loop.create_future()

    def done(outcome: Outcome) -> None:
        if not answer.done():
            answer.set_result(outcome)

    try:
        await loop.create_connection(lambda: Stream(request, origin, done), host, port)
    except OSError as error:
        now = perf_counter() - origin
        return Outcome(began=now, ended=now, error=f"cannot connect: {error}")
    return await answer


def post(host: str, port: int, path: str, body: object, key: str | None) -> bytes:
    """The bytes of a POST with a JSON body."""
    if key is not None and not key.isprintable():
        raise InputError("the API key holds characters that no header can carry")
    content = msgspec.json.encode(body)
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {host}:{port}",
        "content-type: application/json",
        "accept: text/event-stream",
        "connection: close",
        f"content-length: {len(content)}",
        *([f"authorization: Bearer {key}"] if key else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
