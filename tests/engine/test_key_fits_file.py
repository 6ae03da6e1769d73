"""What a cache of 4 bits knows of a model's keys is read whole, or refused by name."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from farthing.engine import key_fits
from farthing.errors import FormatError
from farthing.ops.key_fit import FILE, Fit
from farthing.ops.record import Note, Recording, Symbol

HEADS, WIDTH = 2, 32
FIT = Fit(
    shift=np.arange(HEADS * WIDTH, dtype=np.float32).reshape(HEADS, WIDTH),
    feedback=np.tril(np.ones((HEADS, WIDTH, WIDTH), np.float32), -1),
)

pytestmark = pytest.mark.filterwarnings("ignore:Reading `.npy`")


def recorded() -> Recording:
    recording = Recording(1)
    q, k, v, out = (Symbol(recording, HEADS * WIDTH) for _ in range(4))
    settings = {"layer": 0, "heads": HEADS, "kv_heads": HEADS}
    recording.notes.append(Note("attention", (q, k, v), out, (None,), settings))
    return recording


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def described(shape: str, descr: str = "'<f4'") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    key_fits.write(tmp_path, {0: FIT})
    found = key_fits.read(tmp_path, recorded())[0]
    np.testing.assert_array_equal(found.shift, FIT.shift)
    np.testing.assert_array_equal(found.feedback, FIT.feedback)


@pytest.mark.parametrize(
    "entry",
    [
        b"no array at all",
        header("{'descr': '<f4', ("),
        header("("),
        header("{1: 2, 'descr': 3, 'shape': 4}"),
        described("(1,)", descr="()"),
        described("(-1,)"),
        described(f"({10**40},)"),
        described(f"({1 << 40},)"),
        described("(1,)", descr="'|O'"),
        described("(2, 32)"),
        described("(2, 32)") + np.full(64, np.nan, np.float32).tobytes(),
    ],
)
def test_an_entry_that_is_no_such_array_is_refused(entry: bytes, tmp_path: Path) -> None:
    key_fits.write(tmp_path, {0: FIT})
    with zipfile.ZipFile(tmp_path / FILE) as held:
        feedback = held.read("feedback.0.npy")
    with zipfile.ZipFile(tmp_path / FILE, "w") as held:
        held.writestr("shift.0.npy", entry)
        held.writestr("feedback.0.npy", feedback)
    with pytest.raises(FormatError, match="measure the cache again"):
        key_fits.read(tmp_path, recorded())


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
)
def test_damage_anywhere_is_refused_or_leaves_numbers(compression: int, tmp_path: Path) -> None:
    key_fits.write(tmp_path, {0: FIT})
    path = tmp_path / FILE
    with zipfile.ZipFile(path) as held:
        whole = {name: held.read(name) for name in held.namelist()}
    with zipfile.ZipFile(path, "w", compression) as held:
        for name, raw in whole.items():
            held.writestr(name, raw)
    good, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        bad = bytearray(good)
        for at in random.integers(0, len(bad), 3):
            bad[at] = random.integers(256)
        path.write_bytes(bad)
        try:
            found = key_fits.read(tmp_path, recorded())[0]
        except FormatError:
            continue
        assert np.isfinite(found.shift).all() and found.feedback.shape == (HEADS, WIDTH, WIDTH)
