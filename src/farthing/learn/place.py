"""A run's folder: what lies where in it, and that one process alone is at work there.

RUN/
  recipe.toml         as it was given
  facts.json          of this machine, the data, and what a token costs
  log.jsonl           one line a step
  step-00001200/      checkpoints (checkpoint.py)
  not-finite.json     what a batch was made of whose loss was no number
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farthing.errors import DiskFull, InputError
from farthing.learn import checkpoint

RECIPE = "recipe.toml"
FACTS = "facts.json"
LOG = "log.jsonl"
BLAME = "not-finite.json"
LOCK = ".lock"


@contextmanager
def claimed(folder: Path, *, resume: bool) -> Iterator[None]:
    """The folder is this process's inside; raises as `claim`."""
    lock = claim(folder, resume=resume)
    try:
        yield
    finally:
        os.close(lock)


def claim(folder: Path, *, resume: bool) -> int:
    """The folder's lock, held until the descriptor is closed; the folder is made if need be.

    Raises InputError if it holds a run and `resume` is not asked for, if it holds something else,
    if another process has it, and if it can't be made.
    """
    found, begun = checkpoint.saved(folder), (folder / RECIPE).exists()
    if begun and not resume:
        at = f"at {found[-1].name}" if found else "without a checkpoint"
        raise InputError(
            f"{folder} holds a run {at}; --resume goes on with it, or choose another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not begun and {path.name for path in folder.iterdir()} - {LOCK}:
            raise InputError(f"{folder} exists and holds no run; choose a new folder")
        lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise InputError(f"{folder} can't be a run's folder: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise InputError(
            f"another process is training in {folder}; wait for it, or stop it"
        ) from None
    return lock


def write(path: Path, content: bytes) -> None:
    """A small file, whole or as it was. Raises DiskFull."""
    draft = path.with_name(f".{path.name}.partial")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DiskFull(f"{path} can't be written: {error.strerror}") from error
