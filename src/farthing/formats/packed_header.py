"""The header of a packed checkpoint: where every tensor lies, and that it can't lie."""

from math import prod
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.types import Layout, Shape
from farthing.weight import BF16, E2M1, Form

MAGIC = b"farthing"
LAYOUT = 1
"""Raised when packed bytes change their meaning; older files are packed again."""
ALIGNMENT = 4096
MOST_HEADER = 1 << 28


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the numbers came from: `sha256` is of the file, or of the files' hashes in order."""

    file: str
    sha256: str
    kind: str


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor, `shape` as in Layout: `offset` counts from the first 4 KiB after the header."""

    shape: list[int]
    form: Form | None
    offset: int
    bytes: int


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    layout: int
    source: Source
    tensors: dict[str, Place]


def read_header(path: Path, data: NDArray[np.uint8]) -> tuple[Header, int]:
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
        return msgspec.json.decode(raw, type=Header), up(16 + length)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: header: {error}; pull the model again") from error


class _Version(msgspec.Struct):
    layout: int


def check_place(what: str, place: Place, end: int, size: int) -> None:
    parts = (1, 2) if place.form is None else (2, 3)
    if len(place.shape) not in parts or min(place.shape) < 1:
        raise FormatError(f"{what}: shape {place.shape} with form {place.form}")
    if place.form is not None:
        _check_form(what, place.form)
    expected = size_of(Layout(tuple(place.shape), place.form))
    if place.bytes != expected:
        raise FormatError(f"{what}: {place.bytes} bytes, and its shape takes {expected}")
    if place.offset % ALIGNMENT or place.offset < end or place.offset + place.bytes > size:
        raise FormatError(
            f"{what}: bytes {place.offset} to {place.offset + place.bytes}; expected from {end} on,"
            f" on a multiple of {ALIGNMENT}, within {size}"
        )


def _check_form(what: str, form: Form) -> None:
    """The lookup and its scale go with each other alone, and floats have no scale."""
    if form.offset == "zero" and form.scale != "f16":
        good = False
    elif form.bits < 16 and form.scale not in ("none", "e8m0"):
        good = form.group > 0 and form.lookup == "none"
    else:
        good = form in (BF16, E2M1)
    if not good:
        raise FormatError(f"{what}: {form} is no form we know")


def size_of(layout: Layout) -> int:
    if layout.form is None:
        return 4 * prod(layout.shape)
    if len(layout.shape) == 2:
        return layout.form.bytes(*layout.shape)
    return layout.shape[0] * stride_of(layout.shape, layout.form)


def stride_of(shape: Shape, form: Form) -> int:
    """Bytes from one matrix of a stack to the next: each starts on 4 KiB."""
    _, rows, columns = shape
    return up(form.bytes(rows, columns))


def up(value: int) -> int:
    return -(-value // ALIGNMENT) * ALIGNMENT
