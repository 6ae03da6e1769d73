"""A run's state on disk: whole, or not there; a run goes on from it to the bit.

step-00001200/
  state.safetensors   weight/NAME: parameters and corrections by the page's names;
                      KIND/NAME: the optimizers' moments
  run.json            the step, the recipe's identity, and what else a run must find as it left it
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from farthing.errors import DiskFull, FormatError, NotFound

STATE, RUN, WEIGHT = "state.safetensors", "run.json", "weight/"
FULL = (ENOSPC, EDQUOT, EFBIG)
LARGEST = 1 << 24
"""Bytes of a run.json."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    step: int
    """Steps that are done."""

    tensors: Mapping[str, Tensor]
    run: Mapping[str, Any]

    def weights(self) -> dict[str, Tensor]:
        """fp32, by the page's names; a next-token head's too."""
        start = len(WEIGHT)
        return {n[start:]: value for n, value in self.tensors.items() if n.startswith(WEIGHT)}


def save(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Writes beside the old ones, then renames; only then are older ones than `keep` removed.

    Raises DiskFull if the disk refuses: the checkpoints before stay as they were.
    """
    final = folder / f"step-{checkpoint.step:08}"
    draft = folder / f".{final.name}.partial"
    if final.exists():  # a run comes by each step once, and comes back to it with the same bits
        return final
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        save_file(dict(checkpoint.tensors), draft / STATE)
        (draft / RUN).write_text(json.dumps({"step": checkpoint.step, **checkpoint.run}))
        for path in (draft / STATE, draft / RUN, draft):
            _sync(path)
        draft.rename(final)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise DiskFull(f"{final} can't be written: {_why(error)}; {_left(folder)}") from error
    for old in saved(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def saved(folder: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-????????"))


def newest(folder: Path) -> Path:
    """Raises NotFound if there is none."""
    found = saved(folder)
    if not found:
        raise NotFound(
            f"{folder} holds no checkpoint; `farthing learn pretrain RECIPE -o RUN` makes them"
        )
    return found[-1]


def load(path: Path) -> Checkpoint:
    """Raises FormatError naming the file that is damaged."""
    try:
        with (path / RUN).open("rb") as file:
            run = json.loads(file.read(LARGEST))
        step = run.pop("step")
        if not isinstance(step, int) or path.name != f"step-{step:08}":
            raise FormatError(f"{path / RUN} says step {step!r:.40}; expected what its folder says")
        return Checkpoint(step, load_file(path / STATE), run)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{path} is no whole checkpoint: {error}; remove it, and the run goes on from the one"
            " before"
        ) from error


def clean(folder: Path) -> None:
    """Removes what a kill left half-written."""
    for draft in folder.glob(".step-*.partial"):
        shutil.rmtree(draft, ignore_errors=True)


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        return f"no room on the disk ({error.strerror})"
    return str(error)


def _left(folder: Path) -> str:
    before = saved(folder)
    return f"{before[-1].name} is whole and stays" if before else "none was written before"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
