"""A task's items as JSONL, one object a line, every byte of it checked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from farthing.errors import InputError, NotFound

LARGEST = 256 << 20
MOST_LINES = 100_000
LONGEST = 1 << 20
"""Bytes of a line."""

Object = dict[str, Any]


def objects(path: Path, keys: set[str]) -> Iterator[tuple[str, Object]]:
    """Where each object stands ("FILE, line N") and the object; empty lines are none.

    Raises NotFound, or InputError naming the line, and any key that is not one of `keys`.
    """
    if not path.is_file():
        raise NotFound(f"{path}: no such file; a task is JSONL, one object a line")
    if (size := path.stat().st_size) > LARGEST:
        raise InputError(f"{path} is {size >> 20} MiB; at most {LARGEST >> 20} are read: split it")
    held = 0
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        held += 1
        if held > MOST_LINES:
            raise InputError(f"{path} holds more than {MOST_LINES} items; split it")
        where = f"{path}, line {number}"
        yield where, _object(line, where, keys)
    if not held:
        raise InputError(f"{path} holds no item; one JSON object a line was expected")


def text(found: Object, key: str, where: str) -> str:
    """A string that is more than spaces."""
    value = found.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} is {_short(value)}; a text was expected")
    return value


def _object(line: bytes, where: str, keys: set[str]) -> Object:
    if len(line) > LONGEST:
        raise InputError(f"{where}: {len(line)} bytes; a line has at most {LONGEST}")
    try:
        found = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 text at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {str(error)[:100]}") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: {_short(found)}; an object was expected")
    if unknown := sorted(found.keys() - keys):
        raise InputError(
            f"{where}: unknown key {unknown[0]!r:.60}; known are {', '.join(sorted(keys))}"
        )
    return found


def _short(value: object) -> str:
    return "missing" if value is None else f"{value!r:.60}"
