"""safetensors files: a reader that maps them and checks everything, and a writer.

Knows nothing of models. A file is a u64 length, a JSON header and the tensors without holes.
"""

import contextlib
import json
import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.types import Shape, json_object

MOST_HEADER = 100_000_000
"""The limit that the format's own library sets."""
MOST_DIMENSIONS = 8

SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
"""Bytes of one number, by dtype. Dtypes narrower than a byte are refused."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """`data` is uint8, little-endian, row by row."""

    dtype: str
    shape: Shape
    data: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    metadata: dict[str, str]
    tensors: Mapping[str, Tensor]


def read(path: Path) -> File:
    """Map a file. Raises FormatError naming the file, and the tensor or byte that is wrong."""
    size = path.stat().st_size
    if size < 10:
        raise FormatError(f"{path}: {size} bytes, too short for a safetensors file")
    data: NDArray[np.uint8] = np.asarray(np.memmap(path, np.uint8, "r"))
    length = struct.unpack("<Q", data[:8].tobytes())[0]
    if length > min(MOST_HEADER, size - 8):
        raise FormatError(
            f"{path}: at byte 0: a header of {length} bytes; the file has {size}, and at most"
            f" {MOST_HEADER} are read"
        )
    header = _header(path, data[8 : 8 + length].tobytes())
    metadata = _metadata(path, header.pop("__metadata__", {}))
    return File(path, metadata, _tensors(path, header, data[8 + length :]))


def _header(path: Path, raw: bytes) -> dict[str, Any]:
    if raw[:1] != b"{":
        raise FormatError(f"{path}: at byte 8: the header begins with {raw[:1]!r}, not a brace")
    try:
        return json_object(raw.decode("utf-8"), f"{path}: header")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: at byte {8 + error.start}: not UTF-8") from error


def _metadata(path: Path, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return value
    raise FormatError(f"{path}: __metadata__ is not a map of texts")


def _tensors(path: Path, header: dict[str, Any], data: NDArray[np.uint8]) -> dict[str, Tensor]:
    """Every byte belongs to exactly one tensor: no overlap, no hole, no rest."""
    places = {name: _place(f"{path}: tensor {name[:80]!r}", item) for name, item in header.items()}
    found, end = {}, 0
    for name, (dtype, shape, start, stop) in sorted(places.items(), key=lambda item: item[1][2:]):
        what = f"{path}: tensor {name[:80]!r}: bytes {start} to {stop}"
        if stop > data.size:
            raise FormatError(f"{what}, but the data has {data.size}; the file is cut or lies")
        if start != end:
            raise FormatError(f"{what}, but the one before ends at {end}")
        found[name] = Tensor(dtype, shape, data[start:stop])
        end = stop
    if end != data.size:
        raise FormatError(f"{path}: {data.size - end} bytes at the end belong to no tensor")
    return found


def _place(what: str, item: Any) -> tuple[str, Shape, int, int]:
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{what}: {item!r:.80}; dtype, shape and data_offsets expected")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise FormatError(f"{what}: dtype {dtype!r:.80} is not known; known are {', '.join(SIZES)}")
    if not _counts(shape) or len(shape) > MOST_DIMENSIONS:
        raise FormatError(f"{what}: shape {shape!r:.80}; up to 8 whole numbers from 0 expected")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(f"{what}: data_offsets {offsets!r:.80}; begin and end expected")
    size = prod(shape) * SIZES[dtype]
    if offsets[1] - offsets[0] != size:
        raise FormatError(
            f"{what}: {offsets[1] - offsets[0]} bytes, but {dtype} {shape!r:.80} takes {size!r:.80}"
        )
    return dtype, tuple(shape), offsets[0], offsets[1]


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item < 1 << 63 for item in value
    )


@dataclass(frozen=True, slots=True)
class Head:
    """A tensor before its numbers are there."""

    dtype: str
    shape: Shape

    @property
    def bytes(self) -> int:
        return prod(self.shape) * SIZES[self.dtype]


class Writer:
    """A file whose tensors are known, and whose numbers come in any order.

    A context: the file lies beside `path` and is renamed at the end, so that `path` is the old file
    or the whole new, and never half of it.
    """

    def __init__(
        self, path: Path, heads: Mapping[str, Head], metadata: Mapping[str, str] | None = None
    ) -> None:
        header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        at, self.missing = 0, {name: head.bytes for name, head in heads.items()}
        for name, head in heads.items():
            places = [at, at + head.bytes]
            header[name] = {"dtype": head.dtype, "shape": head.shape, "data_offsets": places}
            at += head.bytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        start = 8 + len(text)
        self.starts = {name: start + header[name]["data_offsets"][0] for name in heads}
        self.path = path
        # not a temporary file of Python's, which none but its owner may read
        self.beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        self.file = self.beside.open("xb")
        self.file.write(struct.pack("<Q", len(text)) + text)

    def put(self, name: str, data: NDArray[Any], at: int = 0) -> None:
        """Bytes of a tensor, `at` of them behind its first."""
        self.file.seek(self.starts[name] + at)
        self.file.write(np.ascontiguousarray(data).data)
        self.missing[name] -= data.nbytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            with self.file:
                self.file.flush()
                os.fsync(self.file.fileno())
            if kind is None:
                short = [name for name, left in self.missing.items() if left]
                assert not short, f"not written as a whole: {short[:5]}"
                os.replace(self.beside, self.path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.beside)


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a file beside `path` and rename it, so that `path` is the old file or the whole new."""
    heads = {name: Head(tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    with Writer(path, heads, metadata) as out:
        for name, tensor in tensors.items():
            assert tensor.data.nbytes == heads[name].bytes, name
            out.put(name, tensor.data)
