"""A packed checkpoint of random weights, written at the disk's speed and kept for the next time."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.bench.noise import Kind, Noise, rows_of
from farthing.bench.skeleton import Skeleton
from farthing.config import home
from farthing.formats import packed
from farthing.formats.packed_header import LAYOUT, MAGIC, up
from farthing.formats.sheets import Sheets
from farthing.store.lock import only
from farthing.store.names import suggested
from farthing.store.space import clear_when_full, need
from farthing.weight import ROWS, pack

VERSION = 2
"""Raised when the same config gives other bytes."""
PROBE = 1 << 28

Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


def root() -> Path:
    """Beside the models, so that none of these is taken for one."""
    return home() / "shapes"


def place(skeleton: Skeleton) -> Path:
    """Where the checkpoint of this shape lies once it is made."""
    digest = skeleton.digest(VERSION, LAYOUT)
    return root() / f"{suggested(skeleton.name)}-{digest[:10]}"


def size(skeleton: Skeleton) -> int:
    """Bytes of its weights."""
    return packed.data_bytes(_header(Noise(skeleton.config, skeleton.tensors), skeleton))


def made(
    skeleton: Skeleton,
    *,
    before: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """The folder of the packed checkpoint, written if it is not there yet.

    `before` is told how large it gets and how long that takes. Raises DiskFull without room.
    """
    folder = place(skeleton)
    if (folder / packed.WEIGHTS).exists():
        return folder
    root().mkdir(parents=True, exist_ok=True)
    with only(folder.name), clear_when_full(f"{skeleton.name}, random weights", root()):
        if not folder.exists():
            _make(folder, skeleton, before, progress)
    return folder


def _make(
    folder: Path,
    skeleton: Skeleton,
    before: Callable[[str], None],
    progress: Progress,
) -> None:
    count = size(skeleton)
    need(root(), count, f"{skeleton.name} with random weights")
    for left in root().glob(f".partial-{folder.name}-*"):
        shutil.rmtree(left)
    seconds = count / speed(root(), min(PROBE, count // 16))
    before(
        f"writing {skeleton.name} with random weights: {count / 1e9:.1f} GB, at least"
        f" {max(seconds, 1):.0f} s, kept in {folder} until you delete it"
    )
    scratch = root() / f".partial-{folder.name}-{os.getpid()}"
    try:
        scratch.mkdir()
        write(scratch, skeleton, progress=progress)
        packed.open(scratch)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write(
    folder: Path,
    skeleton: Skeleton,
    *,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write the checkpoint into a folder that exists."""
    noise = Noise(skeleton.config, skeleton.tensors)
    header = _header(noise, skeleton)
    total = packed.data_bytes(header)
    (folder / "config.json").write_text(json.dumps(skeleton.config, indent=2))
    pools: dict[Kind, NDArray[np.uint8]] = {}
    with (folder / packed.WEIGHTS).open("wb") as file:
        out = Sheets(file)
        head = msgspec.json.encode(header)
        out.write(MAGIC + len(head).to_bytes(8, "little") + head)
        start = up(out.tell())
        for name, where in header.tensors.items():
            out.pad(start + where.offset)
            _tensor(out, noise, name, pools)
            progress(min(where.offset + where.bytes, total), total)
        out.pad(start + total)
        out.end()
        file.flush()
        os.fsync(file.fileno())  # Or the disk would still write while something is measured.
    progress(total, total)


def _header(noise: Noise, skeleton: Skeleton) -> packed.Header:
    source = packed.Source(f"{skeleton.name}, random weights", skeleton.digest(), "random")
    return packed.header_of(noise, source)


def _tensor(out: Sheets, noise: Noise, name: str, pools: dict[Kind, NDArray[np.uint8]]) -> None:
    shape, kind = noise.shapes[name], noise.kind(name)
    if kind is None:
        plain = noise.layout(name).form is None
        out.write(noise.vector(name).tobytes() if plain else pack(noise.router(name)).data)
        return
    if kind not in pools:
        pools[kind] = pack(noise.pool(kind))
    for index in range(shape[0]) if len(shape) == 3 else (None,):
        out.pad(up(out.tell()))
        for piece in _pieces(noise, name, index, pools[kind]):
            out.write(piece.data)


def _pieces(
    noise: Noise, name: str, index: int | None, pool: NDArray[np.uint8]
) -> Iterator[NDArray[np.uint8]]:
    kind = noise.kind(name)
    assert kind is not None
    block = kind.form.block_bytes(kind.columns)
    for run in noise.runs(name, index):
        whole = (run.stop - run.start) // ROWS
        first = run.start // ROWS
        yield pool[first * block : (first + whole) * block]
        if run.start + whole * ROWS < run.stop:
            yield pack(rows_of(noise.pool(kind), slice(run.start + whole * ROWS, run.stop)))


def speed(folder: Path, size: int) -> float:
    """Bytes a second that this disk takes, from writing about `size` of them."""
    data = np.random.default_rng(0).bytes(1 << 20)
    times, path = size // len(data) + 1, folder / f".probe-{os.getpid()}"
    try:
        start = perf_counter()
        with path.open("wb") as out:
            for _ in range(times):
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
        return times * len(data) / (perf_counter() - start)
    finally:
        path.unlink(missing_ok=True)
