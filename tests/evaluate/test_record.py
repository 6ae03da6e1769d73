"""Rows of quality.json: what they say, and which of them stay."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from toys import ids, toy

from farthing.errors import FormatError, InputError
from farthing.evaluate import measure, record
from farthing.evaluate.opened import Opened
from farthing.evaluate.opened import open as open_checkpoint
from farthing.evaluate.texts import Texts
from farthing.formats import packed, quality
from farthing.formats.quality import Row
from native.toy_native import FORMS

TEXT = Texts("user: random", [ids(65, seed) for seed in range(4)])


@pytest.fixture
def model(tmp_path: Path) -> Opened:
    return open_checkpoint(toy(tmp_path / "small", FORMS["int4"]))


def measured(model: Opened, against: Opened | None = None, text: Texts = TEXT) -> list[Row]:
    return record.rows_of(measure.measure(model, against, text), against or model, text)


def test_a_row_says_what_was_measured_on_what_against_what(model: Opened) -> None:
    (row,) = measured(model)
    record.save(model, [row])
    kept = quality.read(model.path)
    assert kept is not None and kept.rows == [row]
    assert kept.weights == packed.identity(model.path)
    assert row.against == quality.Against(name="small", sha256="0" * 64, arithmetic="fp32")
    assert (row.text.what, row.text.tokens) == ("user: random", 256)
    assert row.arithmetic == "native" and row.isa and row.farthing


def test_a_new_row_replaces_the_one_of_the_same_levers(model: Opened, tmp_path: Path) -> None:
    full = open_checkpoint(toy(tmp_path / "full"))
    record.save(model, measured(model))
    record.save(model, measured(model, full))
    other = replace(TEXT, what="user: other")
    record.save(model, measured(model, text=other))
    kept = quality.read(model.path)
    assert kept is not None
    assert [(list(row.levers), row.text.what) for row in kept.rows] == [
        (["weights"], "user: random"),
        (["weights", "activations"], "user: random"),
        (["activations"], "user: other"),
    ]


def test_a_shorter_measurement_leaves_the_longer_one(model: Opened) -> None:
    (long,), (short,) = measured(model), measured(model, text=Texts("user: short", [ids(65, 9)]))
    assert record.save(model, [long]) == []
    assert record.save(model, [short]) == [long]
    kept = quality.read(model.path)
    assert kept is not None and kept.rows == [long]
    stale = msgspec.structs.replace(long, numerics=long.numerics - 1)
    quality.write(model.path, msgspec.structs.replace(kept, rows=[stale]))
    assert record.save(model, [short]) == [], "what was added up otherwise says nothing of now"
    kept = quality.read(model.path)
    assert kept is not None and kept.rows == [short]


def test_rows_of_other_weights_go(model: Opened, tmp_path: Path) -> None:
    rows = measured(model)
    other = open_checkpoint(toy(tmp_path / "other", FORMS["int8"]))
    stale = quality.Quality(layout=quality.LAYOUT, weights="1" * 64, rows=rows)
    quality.write(other.path, stale)
    record.save(other, [])
    kept = quality.read(other.path)
    assert kept is not None and kept.rows == [] and kept.weights == packed.identity(other.path)


def test_a_damaged_file_is_named_and_kept(model: Opened) -> None:
    (model.path / quality.FILE).write_text("{")
    with pytest.raises(FormatError, match="remove it and measure again"):
        record.save(model, [])
    assert (model.path / quality.FILE).read_text() == "{"


def test_a_folder_that_cannot_be_written_is_named(
    model: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user root writes everywhere, so what the system would say is said here."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"small can't be written.* --no-save"):
        record.must_be_writable(model)


def test_a_disk_that_is_full_is_named(model: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, found: quality.Quality) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(quality, "write", full)
    with pytest.raises(InputError, match="No space left on device; nothing was saved"):
        record.save(model, [])
