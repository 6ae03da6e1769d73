"""Our own checkpoint: a folder whose weights lie as the kernels read them, mapped, ready at once.

    weights.farthing    8 bytes magic, u64 length of the header, the header (JSON), then the
                        tensors, each starting on 4 KiB of the file; 2-D ones as weight.pack
                        makes them, 1-D ones fp32
    config.json, generation_config.json, tokenizer.json, tokenizer_config.json

Knows nothing of where models live.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError, NotFound
from farthing.formats.types import Layout, Shape, Tensors, Vector, json_object
from farthing.weight import ROWS, Form, Matrix, pack, unpack

MAGIC = b"farthing"
LAYOUT = 1
"""Raised when packed bytes change their meaning; older files are packed again."""
ALIGNMENT = 4096
WEIGHTS = "weights.farthing"
MOST_HEADER = 1 << 28
PIECE = 1 << 23
"""Weights packed at once."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the numbers came from: `sha256` is of the file, or of the files' hashes in order."""

    file: str
    sha256: str
    kind: str


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor: `offset` counts from the first 4 KiB boundary after the header."""

    shape: list[int]
    form: Form | None
    offset: int
    bytes: int


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    layout: int
    source: Source
    tensors: dict[str, Place]


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """A view of the mapped file. `form` None is an fp32 vector."""

    name: str
    shape: Shape
    form: Form | None
    data: NDArray[np.uint8]

    def matrix(self) -> Matrix:
        assert self.form is not None, f"{self.name} is a vector"
        return unpack(self.data, self.form, self.shape[0], self.shape[1])

    def vector(self) -> Vector:
        assert self.form is None, f"{self.name} is a matrix"
        return self.data.view("<f4")


@dataclass(frozen=True, slots=True)
class Packed:
    folder: Path
    config: dict[str, Any]
    header: Header
    tensors: Mapping[str, PackedTensor]


def header_of(tensors: Tensors, source: Source) -> Header:
    """Where every tensor will lie, before any is read."""
    places, at = {}, 0
    for name in tensors.names():
        layout = tensors.layout(name)
        size = _size(layout)
        places[name] = Place(list(layout.shape), layout.form, at, size)
        at = _up(at + size)
    return Header(LAYOUT, source, places)


def data_bytes(header: Header) -> int:
    return max((_up(place.offset + place.bytes) for place in header.tensors.values()), default=0)


def write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    *,
    source: Source,
    files: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a packed checkpoint into `folder`, which exists and is empty, tensor by tensor.

    The caller makes it appear whole: writes beside and renames. `files` are further texts of the
    folder (tokenizer.json, ...). `progress` hears bytes done and bytes in all. Raises FormatError
    if a weight is not finite.
    """
    for name, text in {"config.json": json.dumps(dict(config), indent=2), **files}.items():
        with (folder / name).open("wb") as out:
            out.write(text.encode())
            _settle(out)
    header = header_of(tensors, source)
    total = data_bytes(header)
    with (folder / WEIGHTS).open("wb") as out:
        head = msgspec.json.encode(header)
        out.write(MAGIC + len(head).to_bytes(8, "little") + head)
        start = _up(out.tell())
        for name, place in header.tensors.items():
            out.seek(start + place.offset)
            for piece in _pieces(tensors, name, place):
                out.write(piece.data)
                progress(min(out.tell() - start, total), total)
        out.truncate(start + total)
        _settle(out)
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
    header, start = _header(path, data)
    return Packed(
        folder=folder,
        config=read_json(folder / "config.json"),
        header=header,
        tensors=_tensors(path, data[start:], header),
    )


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json_object(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise FormatError(f"{path}: is missing; pull the model again") from error


def _header(path: Path, data: NDArray[np.uint8]) -> tuple[Header, int]:
    """The header and where the tensors begin."""
    if data[:8].tobytes() != MAGIC:
        raise FormatError(f"{path}: begins with {data[:8].tobytes()!r}, not {MAGIC!r}")
    length = int.from_bytes(data[8:16].tobytes(), "little")
    if length > min(MOST_HEADER, data.size - 16):
        raise FormatError(f"{path}: at byte 8: a header of {length} bytes in {data.size}")
    raw = data.data[16 : 16 + length]
    try:
        version = msgspec.json.decode(raw, type=_Version).layout
        if version != LAYOUT:
            raise FormatError(
                f"{path}: layout {version}, and this program reads {LAYOUT}; pull the model again"
            )
        return msgspec.json.decode(raw, type=Header), _up(16 + length)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: header: {error}; pull the model again") from error


class _Version(msgspec.Struct):
    layout: int


def _tensors(path: Path, data: NDArray[np.uint8], header: Header) -> dict[str, PackedTensor]:
    found, end = {}, 0
    for name, place in sorted(header.tensors.items(), key=lambda item: item[1].offset):
        _check(f"{path}: tensor {name[:80]!r}", place, end, data.size)
        end = place.offset + place.bytes
        found[name] = PackedTensor(name, tuple(place.shape), place.form, data[place.offset : end])
    if _up(end) != data.size:
        raise FormatError(f"{path}: {data.size} bytes of tensors, {_up(end)} expected; cut short?")
    return found


def _check(what: str, place: Place, end: int, size: int) -> None:
    if len(place.shape) != (1 if place.form is None else 2) or min(place.shape) < 1:
        raise FormatError(f"{what}: shape {place.shape} with form {place.form}")
    if place.form is not None:
        _check_form(what, place.form)
    expected = _size(Layout(tuple(place.shape), place.form))
    if place.bytes != expected:
        raise FormatError(f"{what}: {place.bytes} bytes, and its shape takes {expected}")
    if place.offset % ALIGNMENT or place.offset < end or place.offset + place.bytes > size:
        raise FormatError(
            f"{what}: bytes {place.offset} to {place.offset + place.bytes}; expected from {end} on,"
            f" on a multiple of {ALIGNMENT}, within {size}"
        )


def _check_form(what: str, form: Form) -> None:
    if form.bits == 16:
        good = (form.group, form.scale, form.offset) == (0, "none", "none")
    else:
        good = form.group > 0 and form.scale != "none"
    if not good:
        raise FormatError(f"{what}: {form} is no form we know")


def _size(layout: Layout) -> int:
    if layout.form is None:
        return 4 * prod(layout.shape)
    return layout.form.bytes(layout.shape[0], layout.shape[1])


def _pieces(tensors: Tensors, name: str, place: Place) -> Iterator[NDArray[np.uint8]]:
    """The bytes of a tensor, some rows at a time: the packed blocks of 16 rows know no others."""
    rows, step = place.shape[0], place.shape[0]
    if place.form is not None:
        step = max(PIECE // place.shape[1] // ROWS, 1) * ROWS
    written = 0
    for first in range(0, rows, step):
        part = tensors.tensor(name, slice(first, min(first + step, rows)))
        _check_finite(name, part)
        raw = _bytes_of(part, place.form)
        written += raw.nbytes
        yield raw
    assert written == place.bytes, f"{name}: {written} bytes, {place.bytes} expected"


def _bytes_of(tensor: Matrix | Vector, form: Form | None) -> NDArray[np.uint8]:
    if isinstance(tensor, Matrix):
        assert tensor.form == form
        return pack(tensor)
    assert form is None
    return np.ascontiguousarray(tensor, "<f4").view(np.uint8)


def _settle(file: IO[bytes]) -> None:
    """Wait until the disk has it: a folder is renamed only over what a power cut can't take."""
    file.flush()
    os.fsync(file.fileno())


def _check_finite(name: str, tensor: Matrix | Vector) -> None:
    """A NaN would spread from one weight to every answer; damaged files are full of them."""
    if not isinstance(tensor, Matrix):
        good = bool(np.isfinite(tensor).all())
    elif tensor.form.bits == 16:
        good = bool(((tensor.codes & 0x7F80) != 0x7F80).all())
    else:
        scales = (tensor.scale, tensor.minimum, tensor.super_scale, tensor.super_minimum)
        good = all(bool(np.isfinite(x).all()) for x in scales if x is not None)
    if not good:
        raise FormatError(f"tensor {name[:80]!r} holds NaN or infinity; the file is damaged")


def _up(value: int) -> int:
    return -(-value // ALIGNMENT) * ALIGNMENT
