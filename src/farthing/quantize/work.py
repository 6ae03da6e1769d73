"""The folder that a quantization works in: what is finished lies there whole, or not at all.

    key             what is being made of what: a hash; locked by the process that does it
    section-0003/   weights   packed matrices and fp32 vectors, one after another
                    index     msgpack: where each lies, and what came of it (Index)
                    stream    the residual stream after it; of the last section alone
                    exact     the same of some samples in the model as it was; likewise
    partial/        the section in the making

A section appears by one renaming. Knows nothing of how weights are made.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError, InputError
from farthing.formats.types import Vector
from farthing.quantize.types import Outcome
from farthing.store.space import clear_when_full
from farthing.weight import Form, Matrix, pack

KEY, PARTIAL, STREAM, EXACT = "key", "partial", "stream", "exact"
SECTION = re.compile(r"section-\d{4,}")
ONE = -1
"""The index of a tensor that is no stack."""


class Place(msgspec.Struct):
    """Where a tensor's matrices lie: the first byte and the bytes of each, by index."""

    shape: tuple[int, ...]
    form: Form | None
    at: dict[int, tuple[int, int]]


class Index(msgspec.Struct):
    tensors: dict[str, Place]
    outcomes: list[Outcome]


class Writer:
    """A section in the making: what is added is on the disk, what is `finished` stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index({}, [])
        self._file: IO[bytes] = (folder / "weights").open("wb")

    @property
    def stream(self) -> Path:
        return self.folder / STREAM

    @property
    def exact(self) -> Path:
        return self.folder / EXACT

    @property
    def scratch(self) -> Path:
        """A folder that does not outlive the section."""
        folder = self.folder / "scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def add(self, name: str, shape: tuple[int, ...], matrix: Matrix, index: int = ONE) -> None:
        """A matrix, or its next rows: all but the last a multiple of 16."""
        self._append(name, shape, matrix.form, pack(matrix), index)

    def vector(self, name: str, values: Vector) -> None:
        raw = np.ascontiguousarray(values, "<f4").reshape(-1).view(np.uint8)
        self._append(name, values.shape, None, raw, ONE)

    def _append(
        self,
        name: str,
        shape: tuple[int, ...],
        form: Form | None,
        raw: NDArray[np.uint8],
        index: int,
    ) -> None:
        place = self.index.tensors.setdefault(name, Place(shape, form, {}))
        at = self._file.tell()
        begin, size = place.at.get(index, (at, 0))
        assert begin + size == at and place.form == form, f"{name}: pieces out of turn"
        place.at[index] = begin, size + raw.nbytes
        self._file.write(raw.data)

    def finish(self) -> None:
        self.close()
        shutil.rmtree(self.scratch)
        (self.folder / "index").write_bytes(msgspec.msgpack.encode(self.index))
        for path in (*self.folder.iterdir(), self.folder):
            _settle(path)

    def close(self) -> None:
        self._file.close()


class Work:
    """Held by one process at a time, till `close`. Raises InputError if the folder holds anything
    else, belongs to another quantization, or is in use."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        strange = sorted(p.name for p in folder.iterdir() if not _known(p.name))
        if strange:
            raise InputError(
                f"{folder} holds {strange[0]!r}, which no quantization left there;"
                " name an empty folder, or one that an interrupted quantization worked in"
            )
        self._lock = os.open(folder / KEY, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._alone()
            self._claim(key)
            self._sweep()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Others may go on from here. The system does it for a process that died."""
        os.close(self._lock)

    @property
    def done(self) -> int:
        """How many sections are finished."""
        count = 0
        while self.section(count).exists():
            count += 1
        return count

    def section(self, number: int) -> Path:
        return self.folder / f"section-{number:04}"

    def stream(self, number: int) -> Path:
        """The residual stream that section `number` left."""
        return self.section(number) / STREAM

    def exact(self, number: int) -> Path:
        """The same as it was before anything was quantized, of the first tokens."""
        return self.section(number) / EXACT

    def index(self, number: int) -> Index:
        path = self.section(number) / "index"
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=Index)
        except (msgspec.DecodeError, OSError) as error:
            raise FormatError(
                f"{path}: {error}; remove {self.folder} and quantize again"
            ) from error

    @contextmanager
    def write(self, number: int) -> Iterator[Writer]:
        """The section that is next. Nothing of it stays unless the block ends well."""
        partial = self.folder / PARTIAL
        partial.mkdir()
        writer = Writer(partial)
        try:
            with clear_when_full("quantizing", self.folder):
                yield writer
                writer.finish()
                partial.rename(self.section(number))
                _settle(self.folder)
        finally:
            writer.close()
            self._sweep()

    def _alone(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another process works in {self.folder}; wait for it, or name another folder"
            ) from error

    def _claim(self, key: str) -> None:
        """Nothing is lost where nothing was finished; else the sections must be of this key."""
        if os.pread(self._lock, len(key) + 1, 0) == key.encode():
            return
        if any(SECTION.fullmatch(p.name) for p in self.folder.iterdir()):
            raise InputError(
                f"{self.folder} holds what another quantization began: of another model, with"
                " another recipe or other samples; go on with those, or name another folder"
            )
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, key.encode(), 0)

    def _sweep(self) -> None:
        """What an interruption left, and all streams but the last."""
        shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
        for number in range(self.done - 1):
            self.stream(number).unlink(missing_ok=True)
            self.exact(number).unlink(missing_ok=True)


def _known(name: str) -> bool:
    return name in (KEY, PARTIAL) or SECTION.fullmatch(name) is not None


def _settle(path: Path) -> None:
    """Wait until the disk has it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
