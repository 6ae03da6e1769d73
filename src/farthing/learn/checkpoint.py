"""A run's state on disk: whole, or not there; a run goes on from it to the bit.

step-00001200/
  state.safetensors   parameters, corrections, the optimizers' moments
  run.json            the step, the recipe's identity, what was told so far
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from farthing.errors import FormatError, InputError

STATE, RUN = "state.safetensors", "run.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    step: int
    """Steps that are done."""

    tensors: dict[str, Tensor]
    run: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Writes beside the old ones, then renames; only then are older ones than `keep` removed.

    Raises InputError if the disk refuses: the checkpoints before stay as they were.
    """
    final = folder / f"step-{checkpoint.step:08}"
    draft = folder / f".{final.name}.partial"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        save_file(checkpoint.tensors, draft / STATE)
        (draft / RUN).write_text(json.dumps({"step": checkpoint.step} | checkpoint.run))
        for path in (draft / STATE, draft / RUN, draft):
            _sync(path)
        if final.exists():
            shutil.rmtree(final)
        draft.rename(final)
        _sync(folder)
    except Exception as error:
        shutil.rmtree(draft, ignore_errors=True)
        before = saved(folder)
        left = f"; {before[-1]} is whole" if before else ""
        raise InputError(f"{final} can't be written: {error}{left}") from error
    for old in saved(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def saved(folder: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-????????"))


def load(path: Path) -> Checkpoint:
    try:
        run = json.loads((path / RUN).read_bytes())
        return Checkpoint(int(run["step"]), load_file(path / STATE), run)
    except Exception as error:
        raise FormatError(f"{path} is no checkpoint: {error}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
