"""Listing, finding and removing the models of this machine."""

import fcntl
import os
import shutil
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from farthing.errors import Busy, FormatError, NotFound
from farthing.formats import packed
from farthing.store.lock import only
from farthing.store.names import NAME, checked, root


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is known of a packed model without reading its weights."""

    name: str
    folder: Path
    disk_bytes: int
    architecture: str = ""
    parameters: int = 0
    context: int = 0
    source: packed.Source | None = None
    forms: dict[str, "Share"]
    """By form's name: "int4 g32 f16 min", ..., "fp32"."""
    problem: str | None = None
    """Why it can't be opened; the fields above are then empty."""

    @property
    def bits(self) -> float:
        """Packed bits for each parameter, scales and padding included."""
        return 8 * sum(share.bytes for share in self.forms.values()) / max(self.parameters, 1)


@dataclass(slots=True)
class Share:
    tensors: int = 0
    parameters: int = 0
    bytes: int = 0


def models() -> list[Model]:
    """All models, by name; a damaged one is listed with its problem."""
    if not root().is_dir():
        return []
    names = sorted(path.name for path in root().iterdir() if path.is_dir())
    return [describe(root() / name) for name in names if NAME.fullmatch(name)]


def find(name: str) -> Model:
    """The model of that name, or in that folder (a path with a slash).

    Raises NotFound with the known names, FormatError if it is damaged.
    """
    folder = Path(name).expanduser() if "/" in name else root() / checked(name)
    if "/" not in name:
        _must_exist(name)
    model = describe(folder)
    if model.problem is not None:
        packed.open(folder)  # raises what is wrong
    return model


def unfinished() -> list[tuple[str, int]]:
    """Names that an interrupted `farthing quantize` was to give, and the bytes of its work."""
    found = sorted(root().glob(".*.partial")) if root().is_dir() else []
    named = [(path.name[1:].removesuffix(".partial"), path) for path in found if path.is_dir()]
    return [(name, disk_bytes(path)) for name, path in named if NAME.fullmatch(name)]


def remove(name: str) -> int:
    """Remove a model whole: renamed first, so that it is never seen half; and what interrupted work
    left of it. Returns bytes freed. Raises Busy while another process quantizes into that name."""
    left = [downloads_of(checked(name)), partial_of(name)]
    if not any(path.exists() for path in left):
        _must_exist(name)
    with only(name):
        shutil.rmtree(downloads_of(name), ignore_errors=True)
        freed = _remove_partial(partial_of(name))
        if freed and not (root() / name).exists():
            return freed
        folder = _must_exist(name)  # another process may have been faster
        if folder.is_symlink():
            folder.unlink()
            return freed
        freed += disk_bytes(folder)
        sweep(name)
        folder.rename(root() / f".removed-{name}-{os.getpid()}")
        sweep(name)
        return freed


def _remove_partial(folder: Path) -> int:
    """Of `farthing quantize`, which holds its folder while it works. Returns bytes freed."""
    if not folder.is_dir():
        return 0
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        freed = disk_bytes(folder)
        shutil.rmtree(folder)
    except BlockingIOError:
        raise Busy(f"another process is at work in {folder}; stop it, or wait for it") from None
    finally:
        os.close(handle)
    return freed


def _must_exist(name: str) -> Path:
    folder = root() / checked(name)
    if not folder.exists() and not folder.is_symlink():
        known = ", ".join(model.name for model in models()) or "none"
        raise NotFound(
            f"there is no model {name!r} here (known: {known}); `farthing pull` fetches one"
        )
    return folder


def sweep(name: str) -> None:
    """Delete what interrupted pulls and removals of this name left. Needs the name's lock."""
    for kind in ("removed", "partial"):
        for path in root().glob(f".{kind}-{name}-*"):
            if path.name.removeprefix(f".{kind}-{name}-").isdigit():
                shutil.rmtree(path)


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def partial_of(name: str) -> Path:
    """Where `farthing quantize -o NAME` works."""
    return root() / f".{name}.partial"


def downloads_of(name: str) -> Path:
    return root() / f".download-{name}"


def describe(folder: Path) -> Model:
    """The model in a folder; if it can't be opened, with its problem."""
    try:
        return _from_packed(packed.open(folder))
    except (FormatError, NotFound) as error:
        size = disk_bytes(folder) if folder.is_dir() else 0
        return Model(name=folder.name, folder=folder, disk_bytes=size, forms={}, problem=str(error))


def _from_packed(found: packed.Packed) -> Model:
    forms: dict[str, Share] = {}
    for tensor in found.tensors.values():
        share = forms.setdefault(form_name(tensor), Share())
        share.tensors += 1
        share.parameters += prod(tensor.shape)
        share.bytes += tensor.data.nbytes
    return Model(
        name=found.folder.name,
        folder=found.folder,
        disk_bytes=disk_bytes(found.folder),
        architecture=str(found.config.get("model_type", "")),
        parameters=sum(share.parameters for share in forms.values()),
        context=_whole(found.config.get("max_position_embeddings")),
        source=found.header.source,
        forms=dict(sorted(forms.items())),
    )


def form_name(tensor: packed.PackedTensor) -> str:
    """ "int4 g32 f16 min", "fp4 g32 e8m0" and the like."""
    form = tensor.form
    if form is None:
        return "fp32"
    if form.bits == 16:
        return "bf16"
    offset = "" if form.offset == "none" else f" {form.offset}"
    kind = "int" if form.lookup == "none" else "fp"
    return f"{kind}{form.bits} g{form.group} {form.scale}{offset}"


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
