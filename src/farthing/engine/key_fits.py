"""What a cache of 4 bits must know of a model's keys, found on text and kept beside the weights.

    key_fits.npz   for each layer with keys: shift.N [h, d] and feedback.N [h, d, d], fp32

Shapes as in ops/key_fit.py. Nothing is unpickled.
"""

import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farthing import _native, machine, models
from farthing.engine.isa import choose_isa
from farthing.engine.types import RowSampling, Step
from farthing.errors import FormatError, InputError
from farthing.formats import packed
from farthing.ops.key_fit import FILE, Fit, fit
from farthing.ops.lower import lower
from farthing.ops.record import Note, Recording, Symbol

CHUNK = 64
"""Tokens of a step: a page, and few enough for the keys and queries of all layers."""
LEAST = 128
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError),
    # an encrypted entry, an unknown compression, an array said to be larger than memory
    *(RuntimeError, MemoryError),
    # what else damaged compression, and headers that are no Python or no dict of three, end in
    *(lzma.LZMAError, struct.error, tokenize.TokenError, SyntaxError),
    *(TypeError, LookupError, ArithmeticError),
)
Ids = NDArray[np.int32]
Floats = NDArray[np.float32]
NOTHING = RowSampling(**dict.fromkeys(RowSampling.__struct_fields__, np.array([])))


def fits_of(folder: Path, ids: Ids) -> dict[int, Fit]:
    """Runs a text [T] through a packed model, and fits the keys of each layer.

    Empty for a model of latents, whose cache needs none. InputError if the text is short.
    """
    checkpoint = packed.open(folder)
    model = models.load(checkpoint.config, checkpoint.tensors)
    recording = Recording(model.shape.layers)
    model.forward(recording, recording)
    notes = [note for note in recording.notes if note.name == "attention"]
    if not notes:
        return {}
    if len(ids) < LEAST:
        raise InputError(f"{len(ids)} tokens to fit a cache on; at least {LEAST} are needed")
    taps = [symbol for note in notes for symbol in note.inputs[:2]]
    threads = machine.cores().usable
    program = _native.Program(choose_isa(), threads, CHUNK, len(ids))
    lower(recording, program, taps=[note.out for note in recording.notes if note.out in taps])
    pages = -(-len(ids) // CHUNK)
    per_page = 64 * 4 * sum(note.inputs[1].width for note in notes)
    program.finish(2 * pages * per_page)
    order = [note.out for note in recording.notes if note.out in taps]
    rows = _rows(program, ids, len(order), max(s.width for s in order), model.shape.vocabulary)
    made = {symbol: at for at, symbol in enumerate(order)}
    return {note.settings["layer"]: _fit(note, rows, made) for note in notes}


def _fit(note: Note, rows: Floats, made: dict[Symbol, int]) -> Fit:
    q, k = (rows[made[s], 1:, : s.width] for s in note.inputs[:2])
    return fit(k, q, width=k.shape[1] // note.settings["kv_heads"])


def _rows(program: _native.Program, ids: Ids, taps: int, width: int, vocabulary: int) -> Floats:
    """[taps, T, width]"""
    out = np.empty((taps, len(ids), width), np.float32)
    for begin in range(0, len(ids), CHUNK):
        step = _step(np.ascontiguousarray(ids[begin : begin + CHUNK], np.int32), begin)
        part = np.empty((taps, len(step.tokens), width), np.float32)
        where = (step.tokens, step.starts, step.positions, step.tables, step.fresh, step.rows)
        program.tap_rows(*where, vocabulary, part)
        out[:, begin : begin + CHUNK] = part
    return out


def _step(tokens: Ids, begin: int) -> Step:
    page = begin // CHUNK
    return Step(
        tokens=tokens,
        starts=np.array([0, len(tokens)], np.int32),
        positions=np.array([begin], np.int32),
        tables=np.arange(page + 1, dtype=np.int32)[None],
        fresh=np.array([page], np.int32),
        rows=np.empty(0, np.int32),
        sampling=NOTHING,
    )


def write(folder: Path, fits: dict[int, Fit]) -> None:
    """Replaces the file whole; none of a model that needs none."""
    if not fits:
        return
    beside = folder / f".{os.getpid()}.{FILE}"
    arrays = {f"shift.{layer}": one.shift for layer, one in fits.items()}
    arrays |= {f"feedback.{layer}": one.feedback for layer, one in fits.items()}
    np.savez(beside, allow_pickle=False, **arrays)
    beside.replace(folder / FILE)


def read(folder: Path, recording: Recording) -> dict[int, Fit]:
    """Those of a packed model, by layer; empty if it has none. FormatError if they don't fit it."""
    path = folder / FILE
    if not path.is_file():
        return {}
    shapes: dict[str, tuple[int, ...]] = {}
    for note in recording.notes:
        if note.name == "attention":
            layer, heads = note.settings["layer"], note.settings["kv_heads"]
            width = note.inputs[1].width // heads
            shapes[f"shift.{layer}"] = (heads, width)
            shapes[f"feedback.{layer}"] = (heads, width, width)
    arrays = _arrays(path, shapes)
    return {
        int(name.removeprefix("shift.")): Fit(
            shift=arrays[name], feedback=arrays[name.replace("shift", "feedback")]
        )
        for name in shapes
        if name.startswith("shift.")
    }


def _arrays(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Floats]:
    again = "remove it, and measure the cache again with `farthing eval MODEL --kv-bits 4`"
    most = 4 * sum(int(np.prod(shape)) for shape in shapes.values()) + 4096 * len(shapes)
    try:
        with zipfile.ZipFile(path) as held:
            size = sum(entry.file_size for entry in held.infolist())
        if size > most:
            raise FormatError(f"{path}: unpacks to {size} bytes, {most} expected; {again}")
        with np.load(path, allow_pickle=False) as held:
            found = {name: held[name] for name in held.files}
    except UNREADABLE as error:
        raise FormatError(f"{path}: {str(error)[:200]}; {again}") from error
    for name, shape in shapes.items():
        array = found.get(name)
        if isinstance(array, bytes):
            raise FormatError(f"{path}: {name} is no array; {again}")
        if array is None or array.shape != shape or array.dtype != np.float32:
            what = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            raise FormatError(f"{path}: {name} is {what}; float32 {list(shape)} expected; {again}")
        if not np.isfinite(array).all():
            raise FormatError(f"{path}: {name} holds NaN or infinity; {again}")
    return found
