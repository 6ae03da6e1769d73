"""The bytes of a GGUF file: key-value pairs and where each tensor lies. Knows no architecture."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.blocks import BLOCKS, Block

MAGIC = b"GGUF"
MOST_ELEMENTS = 1 << 24
"""Array elements in all metadata; the largest vocabularies with merges take a million."""
MOST_DEPTH = 4

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
_BOOL, _STRING, _ARRAY = 7, 8, 9


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: shape as Hugging Face writes it (outputs first); bytes start..stop."""

    shape: tuple[int, ...]
    block: Block
    start: int
    stop: int


class Cursor:
    """Reads forward through the file and never past its end."""

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self.path, self.data, self.at = path, data.data, 0
        self.elements = 0

    def fail(self, field: str, problem: str) -> FormatError:
        return FormatError(f"{self.path}: at byte {self.at}, {field}: {problem}")

    def bytes(self, count: int, field: str) -> memoryview:
        left = len(self.data) - self.at
        if count > left:
            raise self.fail(field, f"{count} bytes expected, {left} left; the file is cut or lies")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, kind: str, field: str) -> Any:
        return struct.unpack("<" + kind, self.bytes(struct.calcsize("<" + kind), field))[0]

    def string(self, field: str) -> str:
        raw = self.bytes(self.number("Q", field), field)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(field, f"text that is not UTF-8 ({error.reason})") from error

    def value(self, kind: int, field: str, depth: int = 0) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind], field)
        if kind == _BOOL:
            return bool(self.number("B", field))
        if kind == _STRING:
            return self.string(field)
        if kind == _ARRAY and depth < MOST_DEPTH:
            return self.array(field, depth)
        raise self.fail(field, f"value type {kind} (depth {depth}); known types are 0 to 12")

    def array(self, field: str, depth: int) -> list[Any]:
        kind, count = self.number("I", field), self.number("Q", field)
        self.elements += count
        if self.elements > MOST_ELEMENTS:
            raise self.fail(field, f"an array of {count}; at most {MOST_ELEMENTS} elements in all")
        if kind in _SCALARS or kind == _BOOL:
            code = np.dtype("<" + _SCALARS.get(kind, "?"))
            raw = self.bytes(count * code.itemsize, field)
            found: list[Any] = np.frombuffer(raw, code).tolist()
            return found
        return [self.value(kind, field, depth + 1) for _ in range(count)]


class File:
    """A GGUF file, checked and mapped. Raises FormatError naming file, byte and field."""

    def __init__(self, path: Path) -> None:
        if path.stat().st_size < 24:
            raise FormatError(f"{path}: {path.stat().st_size} bytes, too short for a GGUF file")
        self.path = path
        self.data: NDArray[np.uint8] = np.asarray(np.memmap(path, np.uint8, "r"))
        cursor = Cursor(path, self.data)
        tensors, pairs = _head(cursor)
        self.metadata: dict[str, Any] = dict(_pairs(cursor, pairs))
        self.alignment = _alignment(path, self.metadata)
        self.entries = _entries(cursor, tensors, self.alignment)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The tensor's bytes: [rows, blocks in a row, bytes of a block], a view of the file."""
        entry = self.entries[name]
        rows = prod(entry.shape[:-1])
        return self.data[entry.start : entry.stop].reshape(rows, -1, entry.block.bytes)


def _head(cursor: Cursor) -> tuple[int, int]:
    """How many tensors and key-value pairs follow."""
    if cursor.bytes(4, "magic") != MAGIC:
        raise FormatError(f"{cursor.path}: does not begin with GGUF; it is no GGUF file")
    version = cursor.number("I", "version")
    if version not in (2, 3):  # 2 differs in nothing we read
        raise cursor.fail("version", f"{version}, and 2 and 3 are read; convert the file again")
    tensors, pairs = cursor.number("Q", "tensor_count"), cursor.number("Q", "kv_count")
    for field, count in (("tensor_count", tensors), ("kv_count", pairs)):
        if count > len(cursor.data) // 13:  # the least bytes that one of either takes
            raise cursor.fail(field, f"{count}, more than a file of {len(cursor.data)} bytes holds")
    return tensors, pairs


def _pairs(cursor: Cursor, count: int) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for index in range(count):
        key = cursor.string(f"key {index}")
        if key in seen:
            raise cursor.fail(f"key {index}", f"{key[:80]!r} stands there twice")
        seen.add(key)
        yield key, cursor.value(cursor.number("I", key[:80]), key[:80])


def _alignment(path: Path, metadata: dict[str, Any]) -> int:
    value = metadata.get("general.alignment", 32)
    if not isinstance(value, int) or not 8 <= value <= 1 << 20 or value & (value - 1):
        raise FormatError(f"{path}: general.alignment is {value!r}; a power of two from 8 expected")
    return value


def _entries(cursor: Cursor, count: int, alignment: int) -> dict[str, Entry]:
    relative: dict[str, tuple[tuple[int, ...], Block, int, int]] = {}
    for index in range(count):
        name = cursor.string(f"tensor {index} name")
        if name in relative:
            raise cursor.fail(f"tensor {index} name", f"{name[:80]!r} stands there twice")
        relative[name] = _entry(cursor, name[:80], alignment)
    start = -(-cursor.at // alignment) * alignment
    found = {
        name: Entry(shape, block, start + offset, start + offset + size)
        for name, (shape, block, offset, size) in relative.items()
    }
    _check_places(cursor, found)
    return found


def _entry(cursor: Cursor, name: str, alignment: int) -> tuple[tuple[int, ...], Block, int, int]:
    """Shape (outputs first), block, offset from the start of the data, size in bytes."""
    dimensions = cursor.number("I", f"{name} dimensions")
    if not 1 <= dimensions <= 4:
        raise cursor.fail(name, f"{dimensions} dimensions; 1 to 4 expected")
    shape = tuple(cursor.number("Q", f"{name} shape") for _ in range(dimensions))[::-1]
    kind, offset = cursor.number("I", f"{name} type"), cursor.number("Q", f"{name} offset")
    if kind not in BLOCKS:
        known = ", ".join(block.name for block in BLOCKS.values())
        raise cursor.fail(name, f"tensor type {kind} is not read; known are {known}")
    block = BLOCKS[kind]
    if min(shape) < 1 or shape[-1] % block.values:
        raise cursor.fail(name, f"shape {list(shape)}; rows of whole {block.name} blocks expected")
    if offset % alignment:
        raise cursor.fail(name, f"offset {offset} is not a multiple of {alignment}")
    return shape, block, offset, prod(shape) // block.values * block.bytes


def _check_places(cursor: Cursor, entries: dict[str, Entry]) -> None:
    end, before = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: item[1].start):
        place = f"{cursor.path}: tensor {name[:80]!r}: bytes {entry.start} to {entry.stop}"
        if entry.stop > len(cursor.data):
            raise FormatError(
                f"{place}, but the file ends at {len(cursor.data)}; it is cut or lies"
            )
        if entry.start < end:
            raise FormatError(f"{place} overlap {before[:80]!r}, which ends at {end}")
        end, before = entry.stop, name
