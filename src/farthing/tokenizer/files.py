"""The folder's JSON files, each of a bounded size. Knows names and shapes, not their meaning."""

import json
from pathlib import Path
from typing import Any

from farthing.errors import FormatError, NotFound

# The largest published tokenizer.json files have some 35 MB.
LARGEST = 256 << 20


def text(path: Path) -> str | None:
    """The file's text; None if there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise FormatError(f"{path} is larger than {LARGEST >> 20} MiB; no tokenizer file is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 at byte {error.start}") from error


def needed(path: Path) -> str:
    found = text(path)
    if found is None:
        raise NotFound(
            f"{path} is missing; a model needs it to read text. Take it from the model's"
            " original repository and put it there"
        )
    return found


def parse(path: Path, source: str) -> dict[str, Any]:
    """The JSON object in `source`, which came from `path`."""
    try:
        value = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    return value


def object(path: Path) -> dict[str, Any]:
    """The JSON object in the file; empty if there is no file."""
    found = text(path)
    return {} if found is None else parse(path, found)
