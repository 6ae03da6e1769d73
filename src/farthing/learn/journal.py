"""The log of a run: one JSON object a step, one step a line, none of them twice.

A run that goes on from an earlier checkpoint than it got to makes its last steps again, so their
lines go. A full disk doesn't stop a run: what could not be written is kept and written later.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from farthing.errors import FormatError

Line = dict[str, Any]


class Journal:
    def __init__(self, path: Path, size: int) -> None:
        self.path, self._size, self._pending = path, size, b""

    @classmethod
    def open(cls, path: Path, done: int) -> tuple[Self, float]:
        """Keeps the lines of steps 1..done. Returns the journal, and what the last line of all
        says has `elapsed`, in seconds: work that is made again was paid for all the same."""
        if not path.exists():
            path.touch()
        kept, elapsed = 0, 0.0
        with path.open("rb") as file:
            for raw in file:
                line = _parsed(raw)
                if line is None:  # cut short by a kill
                    break
                elapsed = max(elapsed, float(line["elapsed"]))
                if line["step"] <= done:
                    kept += len(raw)
        os.truncate(path, kept)
        return cls(path, kept), elapsed

    def write(self, line: Line) -> OSError | None:
        """Returns why it could not be written yet."""
        self._pending += json.dumps(line).encode() + b"\n"
        try:
            with self.path.open("r+b") as file:
                file.seek(self._size)
                file.write(self._pending)
                file.truncate()
        except OSError as error:
            return error
        self._size, self._pending = self._size + len(self._pending), b""
        return None


def lines(path: Path) -> Iterator[Line]:
    """Of a log, also while it is written. FormatError for what is no log."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = _parsed(raw)
                if line is not None:
                    yield line
                elif raw.endswith(b"\n"):
                    raise FormatError(f"{path}:{number} is no line of a run's log")
    except OSError as error:
        raise FormatError(f"{path} can't be read: {error.strerror}") from None


def _parsed(raw: bytes) -> Line | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    good = isinstance(line, dict) and isinstance(line.get("step"), int) and "elapsed" in line
    return line if good and raw.endswith(b"\n") else None
