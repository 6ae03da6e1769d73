"""Rows of numbers in a file, and the samples' tokens in chunks: what keeps memory bounded.

Shapes: T tokens of all samples end to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.quantize.types import Weights

CHUNK = 4096
"""Tokens played at once, at most, but for a sample that is longer: none is ever cut."""
NUMBERS = 1 << 23
"""Numbers of one value of a chunk."""
MEMORY = 400 << 20
"""Bytes of rows that stay in memory, since files of them cost a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens start..stop: whole samples of these lengths."""

    start: int
    stop: int
    lengths: tuple[int, ...]

    @property
    def positions(self) -> NDArray[np.int64]:
        return np.concatenate([np.arange(n) for n in self.lengths])


def tokens_at_once(width: int) -> int:
    """Where the widest value has this width."""
    return max(min(CHUNK, NUMBERS // width), 1)


def chunks_of(samples: Sequence[NDArray[np.int32]], width: int) -> list[Chunk]:
    """Whole samples, as many as fit together where the widest value has this width."""
    most, found = tokens_at_once(width), list[Chunk]()
    start, lengths = 0, list[int]()
    for sample in samples:
        if lengths and sum(lengths) + len(sample) > most:
            found.append(Chunk(start, start + sum(lengths), tuple(lengths)))
            start, lengths = found[-1].stop, []
        lengths.append(len(sample))
    if lengths:
        found.append(Chunk(start, start + sum(lengths), tuple(lengths)))
    return found


@dataclass(frozen=True, slots=True)
class Rows:
    """fp32 [T, width] in a file that is never in memory whole."""

    path: Path
    count: int
    width: int

    @classmethod
    def zeros(cls, path: Path, count: int, width: int) -> "Rows":
        with path.open("wb") as file:
            file.truncate(4 * count * width)
        return cls(path, count, width)

    def read(self, start: int, stop: int) -> Weights:
        size, at = (stop - start) * self.width, 4 * start * self.width
        found = np.fromfile(self.path, "<f4", size, offset=at)
        if len(found) != size:
            raise FormatError(f"{self.path}: cut short; quantize again, in an empty folder")
        return found.reshape(-1, self.width)

    def write(self, start: int, rows: Weights) -> None:
        with self.path.open("r+b") as file:
            file.seek(4 * start * self.width)
            np.ascontiguousarray(rows, "<f4").tofile(file)

    def gather(self, ids: NDArray[np.intp]) -> Weights:
        return np.asarray(self._mapped("r")[ids])

    def add(self, ids: NDArray[np.intp], rows: Weights) -> None:
        """Adds to rows, none of them named twice."""
        mapped = self._mapped("r+")
        mapped[ids] += rows

    def put(self, ids: NDArray[np.intp], rows: Weights) -> None:
        mapped = self._mapped("r+")
        mapped[ids] = rows

    def columns(self, where: slice, values: Weights) -> None:
        mapped = self._mapped("r+")
        mapped[:, where] = values

    def _mapped(self, mode: Literal["r", "r+"]) -> NDArray[np.float32]:
        # mapped anew each time: pages that were touched then leave the process
        return np.memmap(self.path, "<f4", mode, shape=(self.count, self.width))


@dataclass(frozen=True, slots=True)
class Held:
    """The same in memory. What `read` gives are the rows themselves: not to be changed."""

    values: Weights

    @property
    def count(self) -> int:
        return len(self.values)

    def read(self, start: int, stop: int) -> Weights:
        return self.values[start:stop]

    def write(self, start: int, rows: Weights) -> None:
        self.values[start : start + len(rows)] = rows

    def gather(self, ids: NDArray[np.intp]) -> Weights:
        return np.asarray(self.values[ids])

    def add(self, ids: NDArray[np.intp], rows: Weights) -> None:
        self.values[ids] += rows

    def put(self, ids: NDArray[np.intp], rows: Weights) -> None:
        self.values[ids] = rows

    def columns(self, where: slice, values: Weights) -> None:
        self.values[:, where] = values


AnyRows = Rows | Held


class Scratch:
    """Rows that no section leaves to the next: in memory that is used again, as far as it goes,
    else in files of `folder`."""

    def __init__(self) -> None:
        self.left = MEMORY // 4
        self._free: list[NDArray[np.float32]] = []
        self._taken: list[NDArray[np.float32]] = []
        self._folder = Path()
        self._files = 0

    def begin(self, folder: Path) -> None:
        """A section: what was given out is given out again."""
        self._free += self._taken
        self._taken.clear()
        self._folder, self._files = folder, 0

    def rows(self, count: int, width: int, *, zeros: bool = False) -> AnyRows:
        """Of any numbers, unless they are to be zeros."""
        buffer = self._buffer(count * width)
        if buffer is None:
            self._files += 1
            return Rows.zeros(self._folder / str(self._files), count, width)
        self._taken.append(buffer)
        if zeros:
            buffer.fill(0)
        return Held(buffer[: count * width].reshape(count, width))

    def _buffer(self, size: int) -> NDArray[np.float32] | None:
        fits = [at for at, buffer in enumerate(self._free) if len(buffer) >= size]
        if fits:
            return self._free.pop(min(fits, key=lambda at: len(self._free[at])))
        # the smaller ones make room for it
        while self._free and self.left < size:
            self.left += len(self._free.pop())
        if self.left < size:
            return None
        self.left -= size
        return np.empty(size, np.float32)
