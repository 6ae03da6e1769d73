"""One process of the engine, from its start to its end, as asyncio sees it."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

from farthing.config import EngineConfig
from farthing.engine.types import EngineInfo, Events
from farthing.engine.wire import Ask, Failed, Frames, Start, Tell, error, frame
from farthing.errors import EngineDied

SOCKET_BYTES = 1 << 20
"""Room for what the engine tells while the event loop is busy elsewhere."""
DIED_LOADING = "the engine ended while it was loading; its last words are on stderr"


class Child(asyncio.Protocol):
    """`told` is called with every Events; `gone` once, when the process has ended its side."""

    def __init__(self, told: Callable[[Events], None], gone: Callable[["Child"], None]) -> None:
        self._told, self._gone = told, gone
        self._frames = Frames()
        self._tells = msgspec.msgpack.Decoder(Tell)
        self._ready: asyncio.Future[EngineInfo] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._closed = False

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    async def start(self, folder: Path, config: EngineConfig, factory: str) -> EngineInfo:
        """Raises what loading raised, or EngineDied if it ended without a word."""
        began = time.monotonic_ns()
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # what lies in the working folder is not ours to import
                "-m",
                "farthing.engine.process",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # NumPy's own threads would take memory and cores, and nothing here needs them.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=ours)
        self._write(frame(Start(str(folder), config, factory, began)))
        info = await self._ready
        if self._closed:
            raise EngineDied(DIED_LOADING)
        return info

    def send(self, asks: list[Ask]) -> None:
        self._write(frame(asks))

    async def ended(self, patience: float) -> int:
        """The exit code, once the process is gone; it is killed when patience is at its end."""
        if not self._process:
            return 0  # it could not even be started
        try:
            async with asyncio.timeout(patience):
                code = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            code = await self._process.wait()
        if self._transport:
            self._transport.close()
        return code

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports can write and are no subclass of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            match self._tells.decode(body):
                case Events() as events:
                    self._told(events)
                case EngineInfo() as info:
                    self._ready.set_result(info)
                case Failed(code, message):
                    self._ready.set_exception(error(code, message))

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if not self._ready.done():
            self._ready.set_exception(EngineDied(DIED_LOADING))
        self._gone(self)

    def _write(self, data: bytes) -> None:
        assert self._transport
        self._transport.write(data)
