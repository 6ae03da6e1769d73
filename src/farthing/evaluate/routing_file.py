"""A routing trace as a file: NumPy's .npz, for other tools to read too. Nothing is unpickled."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from farthing.errors import FormatError, InputError, NotFound
from farthing.evaluate.routing import Trace

LAYOUT = 1
LARGEST = 1 << 30
"""Bytes that a trace may unpack to: a million tokens of 60 layers."""
MOST_EXPERTS = 1 << 15
FIELDS = {"layout", "experts", "layers", "ids"}
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError),
    # an encrypted entry, an unknown compression, an array said to be larger than memory
    *(RuntimeError, MemoryError),
)


def save(path: Path, trace: Trace) -> None:
    """layout, experts, layers [L] and ids [L, T, k] int16, compressed."""
    try:
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                layout=np.int64(LAYOUT),
                experts=np.int64(trace.experts),
                layers=np.array(trace.layers, np.int32),
                ids=trace.ids.astype(np.int16),
            )
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}") from error


def load(path: Path) -> Trace:
    """Raises NotFound, or FormatError naming what is wrong."""
    if not path.is_file():
        raise NotFound(f"{path}: no such trace; `farthing experts --save FILE` makes one")
    try:
        with zipfile.ZipFile(path) as held:
            size = sum(entry.file_size for entry in held.infolist())
        if size > LARGEST:
            raise FormatError(f"{path}: unpacks to {size} bytes; at most {LARGEST} are read")
        with np.load(path, allow_pickle=False) as held:
            if missing := FIELDS - set(held.files):
                raise FormatError(f"{path}: no {', '.join(sorted(missing))}; is it a trace?")
            fields = {name: held[name] for name in FIELDS}
    except UNREADABLE as error:
        raise FormatError(f"{path}: not a trace we can read: {str(error)[:200]}") from error
    return _checked(path, fields)


def _checked(path: Path, fields: dict[str, np.ndarray[tuple[int, ...], np.dtype]]) -> Trace:
    ids, layers = fields["ids"], fields["layers"]
    for name, array in fields.items():
        if array.dtype.kind != "i":
            raise FormatError(f"{path}: {name} is {array.dtype}; whole numbers were expected")
    if (fields["layout"].ndim, fields["experts"].ndim) != (0, 0):
        raise FormatError(f"{path}: layout and experts must be single numbers")
    layout, experts = int(fields["layout"]), int(fields["experts"])
    if layout != LAYOUT:
        raise FormatError(f"{path}: layout {layout}, and this program reads {LAYOUT}; record again")
    if not 1 <= experts <= MOST_EXPERTS:
        raise FormatError(f"{path}: {experts} experts; expected 1 to {MOST_EXPERTS}")
    if ids.ndim != 3 or not ids.size or layers.shape != ids.shape[:1]:
        raise FormatError(f"{path}: ids {ids.shape} of layers {layers.shape}; expected [L, T, k]")
    if ids.min() < 0 or ids.max() >= experts or (np.diff(ids) <= 0).any():
        raise FormatError(f"{path}: ids must ascend for each token, from 0 to {experts - 1}")
    return Trace(ids=ids.astype(np.int32), experts=experts, layers=tuple(int(i) for i in layers))
