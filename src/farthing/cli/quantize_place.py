"""Where the output of `farthing quantize` appears, whole, and where the work on it lies meanwhile.

Beside OUT lies .OUT.partial, of one process at a time:

    asked.json    what is being made of what: another command is refused
    samples.npy   the text that the model wrote
    source/       the model, packed to be run; gone when the text is written
    sections/     finished parts of the model: quantize/work.py
    whole         the output in the making
"""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farthing.errors import Busy, DiskFull, FormatError, InputError, NotFound
from farthing.quantize.text import Samples
from farthing.store.names import checked, root
from farthing.store.space import FULL, megabytes, need


@dataclass(frozen=True, slots=True)
class Place:
    out: Path
    shelf: bool
    """Whether `out` is a model by its name, for every other verb."""

    @property
    def partial(self) -> Path:
        return self.out.with_name(f".{self.out.name}.partial")

    @property
    def whole(self) -> Path:
        return self.partial / "whole"

    @property
    def sections(self) -> Path:
        return self.partial / "sections"

    @property
    def packed_source(self) -> Path:
        return self.partial / "source"

    @property
    def called(self) -> str:
        """What other verbs call the output."""
        return self.out.name if self.shelf else str(self.out)

    def free(self) -> None:
        """Raises InputError if something is there already."""
        if self.out.exists() or self.out.is_symlink():
            hint = f"`farthing rm {self.out.name}`" if self.shelf else "remove it"
            raise InputError(f"{self.out} exists already; {hint}, or give another -o")

    @contextmanager
    def held(self, asked: Mapping[str, str], room: int) -> Iterator[None]:
        """The place, for this process alone, with `room` for so many bytes. On a normal end nothing
        of it is left; else what is finished stays, for the same command to go on with."""
        self.partial.mkdir(parents=self.shelf, exist_ok=True)
        handle = os.open(self.partial, os.O_RDONLY)
        try:
            _lock(handle, self.partial)
            self.free()  # another process may have been faster
            self._claim(asked)
            need(self.partial, room, "the new model, with the work on it,")
            with self._kept():
                yield
            shutil.rmtree(self.partial)
        finally:
            if self.partial.exists() and not self._begun:
                shutil.rmtree(self.partial)
            os.close(handle)

    def appear(self) -> None:
        self.free()
        self.whole.rename(self.out)

    def samples(self) -> Samples | None:
        """Those an earlier run wrote."""
        path = self._samples
        if not path.exists():
            return None
        try:
            found = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise FormatError(f"{path}: {error}; remove it, and start again") from error
        return list(found)

    def keep_samples(self, samples: Samples) -> None:
        """All are of one length."""
        with (half := self._samples.with_suffix(".half")).open("wb") as file:
            np.save(file, np.stack(samples), allow_pickle=False)
        half.rename(self._samples)

    @property
    def _begun(self) -> bool:
        """Whether anything is finished that is worth going on with."""
        return self._samples.exists() or (self.sections / "section-0000").exists()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Stopped, or out of room: says what stays, and how to go on."""
        try:
            yield
        except KeyboardInterrupt:
            print(f"farthing: stopped; {self._stays}", file=sys.stderr)
            raise
        except (OSError, DiskFull) as error:
            if isinstance(error, OSError) and error.errno not in FULL:
                raise
            free = megabytes(shutil.disk_usage(self.partial).free)
            raise DiskFull(
                f"the disk is full ({free} free in {self.out.parent}); make room; {self._stays}"
            ) from error

    @property
    def _stays(self) -> str:
        if not self._begun:
            return "nothing was finished, and nothing stays"
        return f"what is finished lies in {self.partial}, and the same command goes on from there"

    @property
    def _samples(self) -> Path:
        return self.partial / "samples.npy"

    def _claim(self, asked: Mapping[str, str]) -> None:
        path = self.partial / "asked.json"
        if not path.exists():
            with (half := path.with_suffix(".half")).open("w") as file:
                json.dump(dict(asked), file, indent=1)
            half.rename(path)
            return
        try:
            before = json.loads(path.read_bytes())
        except ValueError:
            before = None
        if before != dict(asked):
            held = before if isinstance(before, dict) else {}
            other = [name for name in asked if held.get(name) != asked[name]]
            raise InputError(
                f"{self.partial} holds the unfinished work of a command with another"
                f" {' and '.join(other) or 'version'}; run that again, remove the folder, or give"
                " another -o"
            )


def place_of(output: str | None, format: str) -> Place:
    """Where -o says. Raises InputError for a place that can't be, or that is taken."""
    if not output:
        raise InputError("-o is missing: a name for the new model, or a path (--plan needs none)")
    path = Path(output).expanduser()
    if format == "packed" and "/" not in output and output not in (".", "..", "~"):
        found = Place(root() / checked(output), shelf=True)
    else:
        found = Place(path.absolute(), shelf=False)
        if not found.out.parent.is_dir():
            raise NotFound(f"{found.out.parent}: no such folder, and -o is to appear in it")
    if (path.suffix == ".gguf") != (format == "gguf"):
        raise InputError(
            f"-o {output} with --format {format}: a GGUF file's name ends in .gguf, and no other's"
        )
    found.free()
    return found


def clear(path: Path) -> None:
    """What an interrupted run may have left there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"another process is at work in {folder}; wait for it") from None
