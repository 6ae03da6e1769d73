"""Our own checkpoint: a folder whose weights lie as the kernels read them, mapped, ready at once.

    weights.farthing    8 bytes magic, u64 length of the header, the header (JSON), then the
                        tensors, each starting on 4 KiB of the file: matrices as weight.pack
                        makes them, each matrix of a stack on 4 KiB too; vectors and tables fp32
    config.json, generation_config.json, tokenizer.json, tokenizer_config.json

Knows nothing of where models live.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError, NotFound
from farthing.formats.packed_header import (
    LAYOUT,
    MAGIC,
    check_place,
    read_header,
    size_of,
    stride_of,
    up,
)
from farthing.formats.packed_header import Header as Header
from farthing.formats.packed_header import Place as Place
from farthing.formats.packed_header import Source as Source
from farthing.formats.sheets import Sheets
from farthing.formats.types import Shape, Tensors, Vector, json_object
from farthing.weight import ROWS, Form, Matrix, pack, unpack

WEIGHTS = "weights.farthing"
PIECE = 1 << 23
"""Weights packed at once."""
SAFE_POWER = 127 + 125
"""The largest e8m0 scale that no E2M1 value (at most 6) takes past fp32."""


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """A view of the mapped file: a matrix, a stack, or with form None fp32; shapes as in Layout."""

    name: str
    shape: Shape
    form: Form | None
    data: NDArray[np.uint8]

    def packed(self, index: int | None = None) -> tuple[Form, NDArray[np.uint8]]:
        """The form and packed bytes of a matrix; of a stack, of matrix `index`.

        Raises FormatError if the header calls this fp32: its shape alone can't tell.
        """
        if self.form is None:
            raise FormatError(f"{self.name}: fp32, where packed weights belong; pull it again")
        if len(self.shape) == 2:
            assert index is None, f"{self.name} is no stack"
            return self.form, self.data
        assert index is not None and 0 <= index < self.shape[0], f"{self.name}: matrix {index}"
        start = index * stride_of(self.shape, self.form)
        return self.form, self.data[start : start + self.form.bytes(*self.shape[1:])]

    def matrix(self, index: int | None = None) -> Matrix:
        """The numbers of a matrix; of a stack, of matrix `index`. Raises as `packed` does."""
        form, data = self.packed(index)
        return unpack(data, form, self.shape[-2], self.shape[-1])

    def vector(self) -> Vector:
        """fp32 [N], or a table's [E, N]. Raises FormatError if the header calls it packed."""
        if self.form is not None:
            raise FormatError(f"{self.name}: {self.form.name}, where fp32 belongs; pull it again")
        return self.data.view("<f4").reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Packed:
    folder: Path
    config: dict[str, Any]
    header: Header
    tensors: Mapping[str, PackedTensor]
    mapped: NDArray[np.uint8]
    """The whole file, of which the tensors are views."""


def header_of(tensors: Tensors, source: Source) -> Header:
    """Where every tensor will lie, before any is read."""
    places, at = {}, 0
    for name in tensors.names():
        layout = tensors.layout(name)
        size = size_of(layout)
        places[name] = Place(list(layout.shape), layout.form, at, size)
        at = up(at + size)
    return Header(LAYOUT, source, places)


def data_bytes(header: Header) -> int:
    return max((up(place.offset + place.bytes) for place in header.tensors.values()), default=0)


def write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    *,
    source: Source,
    files: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a packed checkpoint into `folder`, which exists and is empty, piece by piece.

    The caller makes it appear whole: writes beside and renames. `files` are further texts of the
    folder (tokenizer.json, ...). `progress` hears bytes done and bytes in all. Raises FormatError
    if a weight is not finite.
    """
    for name, text in {"config.json": json.dumps(dict(config), indent=2), **files}.items():
        with (folder / name).open("wb") as file:
            file.write(text.encode())
            _settle(file)
    header = header_of(tensors, source)
    total = data_bytes(header)
    with (folder / WEIGHTS).open("wb") as file:
        out = Sheets(file)
        head = msgspec.json.encode(header)
        out.write(MAGIC + len(head).to_bytes(8, "little") + head)
        start = up(out.tell())
        for name, place in header.tensors.items():
            for at, index in _matrices(place):
                out.pad(start + at)
                for piece in _pieces(tensors, name, place, index):
                    out.write(piece.data)
                    progress(min(out.tell() - start, total), total)
        out.pad(start + total)
        out.end()
        _settle(file)
    progress(total, total)


def open(folder: Path) -> Packed:
    """Map a packed checkpoint: only the header is read, and all of it is checked.

    Raises NotFound if there is none, FormatError naming file and field if it is damaged.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise NotFound(f"{folder}: no {WEIGHTS} there; `farthing pull` makes one")
    size = path.stat().st_size
    if size < 16:
        raise FormatError(f"{path}: {size} bytes, too short; pull the model again")
    data: NDArray[np.uint8] = np.asarray(np.memmap(path, np.uint8, "r"))
    header, start = read_header(path, data)
    return Packed(
        folder=folder,
        config=read_json(folder / "config.json"),
        header=header,
        tensors=_tensors(path, data[start:], header),
        mapped=data,
    )


def identity(folder: Path) -> str:
    """sha256 of the header: it names the source by its hash, and where every tensor lies in which
    form. Cheap however large the weights are. Raises as `open` does."""
    path = folder / WEIGHTS
    data: NDArray[np.uint8] = np.asarray(np.memmap(path, np.uint8, "r"))
    length = int.from_bytes(data[8:16].tobytes(), "little")
    read_header(path, data)
    return sha256(data[: 16 + length].tobytes()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json_object(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise FormatError(f"{path}: is missing; pull the model again") from error


def _tensors(path: Path, data: NDArray[np.uint8], header: Header) -> dict[str, PackedTensor]:
    found, end = {}, 0
    for name, place in sorted(header.tensors.items(), key=lambda item: item[1].offset):
        check_place(f"{path}: tensor {name[:80]!r}", place, end, data.size)
        end = place.offset + place.bytes
        found[name] = PackedTensor(name, tuple(place.shape), place.form, data[place.offset : end])
    if up(end) != data.size:
        raise FormatError(f"{path}: {data.size} bytes of tensors, {up(end)} expected; cut short?")
    return found


def _matrices(place: Place) -> Iterator[tuple[int, int | None]]:
    """Where each matrix of a stack lies, and its index; all else lies in one."""
    if place.form is None or len(place.shape) == 2:
        yield place.offset, None
        return
    stride = stride_of(tuple(place.shape), place.form)
    for index in range(place.shape[0]):
        yield place.offset + index * stride, index


def _pieces(
    tensors: Tensors, name: str, place: Place, index: int | None
) -> Iterator[NDArray[np.uint8]]:
    """The bytes of one matrix, some rows at a time: the packed blocks of 16 rows know no others."""
    rows, expected = place.shape[0], place.bytes
    step = rows
    if place.form is not None:
        rows, columns = place.shape[-2:]
        step = max(PIECE // columns // ROWS, 1) * ROWS
        expected = place.form.bytes(rows, columns)
    written = 0
    for first in range(0, rows, step):
        part = tensors.tensor(name, slice(first, min(first + step, rows)), index)
        check_finite(f"tensor {name[:80]!r}" + ("" if index is None else f" [{index}]"), part)
        raw = _bytes_of(part, place.form)
        written += raw.nbytes
        yield raw
    assert written == expected, f"{name}: {written} bytes, {expected} expected"


def _bytes_of(tensor: Matrix | Vector, form: Form | None) -> NDArray[np.uint8]:
    if isinstance(tensor, Matrix):
        assert tensor.form == form
        return pack(tensor)
    assert form is None
    return np.ascontiguousarray(tensor, "<f4").reshape(-1).view(np.uint8)


def _settle(file: IO[bytes]) -> None:
    """Wait until the disk has it: a folder is renamed only over what a power cut can't take."""
    file.flush()
    os.fsync(file.fileno())


def _finite_powers(matrix: Matrix) -> bool:
    """An e8m0 scale may be NaN; one of the last few may take its weights past what fp32 holds."""
    assert matrix.scale is not None
    if matrix.scale.max() <= SAFE_POWER:
        return True
    with np.errstate(over="ignore"):
        return bool(np.isfinite(matrix.dequantize()).all())


def check_finite(what: str, tensor: Matrix | Vector) -> None:
    """A NaN would spread from one weight to every answer; damaged files are full of them.

    Raises FormatError that begins with `what`.
    """
    if not isinstance(tensor, Matrix):
        good = bool(np.isfinite(tensor).all())
    elif tensor.form.bits == 16:
        good = bool(((tensor.codes & 0x7F80) != 0x7F80).all())
    elif tensor.form.scale == "e8m0":
        good = _finite_powers(tensor)
    else:
        levels = (tensor.super_scale, tensor.super_minimum)
        scales = (tensor.scale, tensor.minimum, tensor.zero, *levels)
        good = all(bool(np.isfinite(x).all()) for x in scales if x is not None)
    if not good:
        raise FormatError(f"{what} holds NaN or infinity; the file is damaged")
