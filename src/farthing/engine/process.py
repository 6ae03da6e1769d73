"""The engine in a process of its own: reads requests, steps, tells. Waits without using the CPU.

`python -m farthing.engine.process FD`, FD being one end of a socket pair; client.py holds the
other. It ends when that end closes, so it never outlives its parent.
"""

import gc
import signal
import socket
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from select import POLLIN, poll

import msgspec

from farthing.engine.engine import Engine
from farthing.engine.types import Cancel, Events, Refused, Request
from farthing.engine.wire import Ask, Failed, Frames, Ping, Start, Stop, Tell, frame
from farthing.errors import FarthingError
from farthing.meter.attribution import Clock

CHUNK = 1 << 18


class Closed(Exception):
    """The other end is gone."""


class Link:
    """The child's end of the pair."""

    def __init__(self, pair: socket.socket) -> None:
        self._pair = pair
        self._frames = Frames()
        self._poll = poll()
        self._poll.register(pair, POLLIN)
        self._asks = msgspec.msgpack.Decoder(list[Ask])

    def start(self) -> Start:
        while True:
            for body in self._frames.feed(self._receive()):
                return msgspec.msgpack.decode(body, type=Start)

    def asks(self) -> list[Ask]:
        """What has come in by now."""
        asks: list[Ask] = []
        while self._poll.poll(0):
            for body in self._frames.feed(self._receive()):
                asks += self._asks.decode(body)
        return asks

    def wait(self) -> None:
        self._poll.poll()

    def send(self, message: Tell) -> None:
        try:
            self._pair.sendall(frame(message))
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise Closed from gone

    def _receive(self) -> bytes:
        try:
            data = self._pair.recv(CHUNK)
        except ConnectionResetError as gone:
            raise Closed from gone
        if not data:
            raise Closed
        return data


def loop(engine: Engine, link: Link) -> None:
    """Until Stop comes. A step is told by one message, whatever it gave."""
    while True:
        if engine.idle:
            engine.clock.begin_wait()
            link.wait()
            engine.clock.end_wait()
        asks = link.asks()
        stop = answer(engine, link, asks)
        if stop:
            engine.cancel_all()
        if not engine.idle:
            link.send(engine.step())
        elif any(isinstance(ask, Ping) for ask in asks):
            link.send(Events(counters=engine.counters()))
        if stop:
            return


def answer(engine: Engine, link: Link, asks: Iterable[Ask]) -> bool:
    """True if one of them says stop."""
    stop = False
    for ask in asks:
        match ask:
            case Request():
                try:
                    engine.submit(ask)
                except FarthingError as error:
                    refused = Refused(ask.id, type(error).__name__, str(error))
                    link.send(Events(refused=[refused], counters=engine.counters()))
            case Cancel():
                engine.cancel(ask)
            case Stop():
                stop = True
    return stop


def load(start: Start) -> Engine:
    module, _, name = start.factory.partition(":")
    runner = getattr(import_module(module), name)(Path(start.folder), start.config)
    # What loading made lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    clock = Clock()
    clock.loading(time.monotonic_ns() - start.began)
    return Engine(runner, start.config, clock)


def main(descriptor: int) -> None:
    # Ctrl-C and a stopping service reach the whole group; it is the parent that says when.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    link = Link(socket.socket(fileno=descriptor))
    try:
        start = link.start()
        try:
            engine = load(start)
        except FarthingError as error:
            link.send(Failed(type(error).__name__, str(error)))
            return
        link.send(engine.info())
        loop(engine, link)
    except Closed:
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
