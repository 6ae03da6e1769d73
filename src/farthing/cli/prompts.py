"""A file of prompts: one a line, or JSONL whose lines have a "text"."""

import json
from pathlib import Path

from farthing.errors import InputError, NotFound

LARGEST = 64 << 20


def read(path: Path) -> list[str]:
    """The prompts in their order; empty lines are none. A name that ends in .jsonl means JSONL.

    Raises NotFound, or InputError naming the line.
    """
    lines = whole(path, "--prompts wants one prompt a line, or JSONL").split("\n")
    held = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not held:
        raise InputError(f"{path} holds no prompt; one a line was expected")
    if path.suffix != ".jsonl":
        return [line for _, line in held]
    return [_text(line, f"{path}, line {number}") for number, line in held]


def whole(path: Path, wanted: str = "a text was expected") -> str:
    """The file's text. Raises NotFound, saying what was `wanted`, or InputError."""
    if not path.is_file():
        raise NotFound(f"{path}: no such file; {wanted}")
    size = path.stat().st_size
    if size > LARGEST:
        raise InputError(f"{path} is {size >> 20} MiB; at most {LARGEST >> 20} are read: split it")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text at byte {error.start}") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None


def _text(line: str, where: str) -> str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {str(error)[:100]}") from None
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f'{where}: {line[:60]!r} has no "text"; {{"text": "..."}} was expected')
    return text
