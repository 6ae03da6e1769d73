"""Scratch rows: in memory while it lasts, in files beyond; the same to whoever uses them."""

from pathlib import Path

import numpy as np
import pytest

from farthing.quantize import stream
from farthing.quantize.run import quantize
from farthing.quantize.stream import Held, Rows, Scratch
from quantize import walk_toys as toys


def begun(folder: Path) -> Scratch:
    scratch = Scratch()
    scratch.begin(folder)
    return scratch


def test_memory_serves_again_in_the_next_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MEMORY", 4 * 100)
    scratch = begun(tmp_path)
    first, second, third = (scratch.rows(10, width) for width in (4, 6, 1))
    assert isinstance(first, Held)
    assert isinstance(second, Held)
    assert isinstance(third, Rows), "nothing is left"
    second.write(0, np.ones((10, 6), np.float32))
    scratch.begin(tmp_path)
    again = scratch.rows(10, 5)
    assert isinstance(again, Held)
    assert np.shares_memory(again.values, second.values)
    assert not scratch.rows(10, 4, zeros=True).read(0, 10).any()


def test_what_is_too_small_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MEMORY", 4 * 100)
    scratch = begun(tmp_path)
    for _ in range(10):
        scratch.rows(10, 1)
    scratch.begin(tmp_path)
    assert isinstance(scratch.rows(10, 10), Held)
    assert isinstance(scratch.rows(10, 1), Rows)


@pytest.mark.parametrize("memory", [1 << 20, 0])
def test_rows_are_read_written_and_added_to(
    memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MEMORY", memory)
    rows = begun(tmp_path).rows(5, 3, zeros=True)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    rows.write(1, x)
    rows.add(np.array([2, 4]), x)
    rows.put(np.array([0]), np.full((1, 3), 9, np.float32))
    rows.columns(slice(2, 3), np.zeros((5, 1), np.float32))
    assert rows.count == 5
    np.testing.assert_array_equal(rows.gather(np.array([4, 0])), [[3, 4, 0], [9, 9, 0]])
    np.testing.assert_array_equal(rows.read(1, 4), [[0, 1, 0], [3, 5, 0], [0, 0, 0]])


@pytest.mark.parametrize("case", ["llama", "qwen3_moe"])
def test_memory_changes_no_bit(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = tmp_path / "model"
    source = toys.dense(at) if case == "llama" else toys.mixed(at, case)
    samples = toys.some_samples(40, 30, 50)
    written = []
    for memory in (0, 1 << 26):
        monkeypatch.setattr(stream, "MEMORY", memory)
        work = tmp_path / f"work-{memory}"
        quantize(source, samples, toys.Same("gptq"), work, lambda told: None)
        written.append([path.read_bytes() for path in sorted(work.glob("section-*/weights"))])
    assert written[0] == written[1]
