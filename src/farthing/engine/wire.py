"""What the engine's process and its client say to each other, and how it is framed.

Both sides are ours, but a damaged stream must not make either ask for much memory.
"""

import struct

import msgspec

from farthing import errors
from farthing.config import EngineConfig
from farthing.engine.types import Cancel, EngineInfo, Events, Request
from farthing.errors import EngineDied, FarthingError

MAX_FRAME = 1 << 28
LENGTH = struct.Struct("<I")


class Start(msgspec.Struct, frozen=True):
    """The first frame: what to run. `factory` is "module:function" of (folder, config)."""

    folder: str
    config: EngineConfig
    factory: str
    began: int
    """time.monotonic_ns() when the process was asked for; loading is counted from there."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Cancel what is left, say so, and end."""


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Answered by Events even when there is nothing to do: counters as they are now."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """There will be no engine: the error that loading met."""

    code: str
    message: str


Ask = Request | Cancel | Ping | Stop
Tell = EngineInfo | Failed | Events
KNOWN = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, FarthingError)
}
_encoder = msgspec.msgpack.Encoder()


def frame(message: Start | list[Ask] | Tell) -> bytes:
    body = _encoder.encode(message)
    assert len(body) <= MAX_FRAME, f"a message of {len(body)} bytes"
    return LENGTH.pack(len(body)) + body


class Frames:
    """Bytes as they come in, frames as they are whole."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Raises EngineDied when the stream cannot be one of ours."""
        self._data += data
        bodies, at = [], 0
        while len(self._data) >= at + LENGTH.size:
            (size,) = LENGTH.unpack_from(self._data, at)
            if size > MAX_FRAME:
                raise EngineDied(f"a frame of {size} bytes, at most {MAX_FRAME} are sent")
            begin = at + LENGTH.size
            if len(self._data) < begin + size:
                break
            at = begin + size
            bodies.append(bytes(self._data[begin:at]))
        del self._data[:at]
        return bodies


def error(code: str, message: str) -> FarthingError:
    """The error of that name again, as it was raised in the other process."""
    kind = KNOWN.get(code, FarthingError)
    again = kind.__new__(kind)
    again.args = (message,)
    return again
