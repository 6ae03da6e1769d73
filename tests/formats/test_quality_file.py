"""quality.json: kept as it was written, and refused by name when it is damaged."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, integers

from farthing.errors import FormatError
from farthing.formats import quality
from farthing.formats.quality import Interval, Quality
from lossy import BASE, FOUR, row

WHOLE = Quality(
    layout=quality.LAYOUT,
    weights="a" * 64,
    rows=[row(BASE), row(FOUR, 0.01, added=Interval(0.007, 0.006, 0.008), isa=None)],
)
WRONG = [{"kl": -1.0}, {"kl": float("inf")}, {"perplexity": 0.0}, {"same_top": 1.5}]


def damaged(folder: Path, raw: bytes) -> bool:
    (folder / quality.FILE).write_bytes(raw)
    try:
        found = quality.read(folder)
    except FormatError as error:
        assert str(folder / quality.FILE) in str(error)
        return True
    assert isinstance(found, Quality)
    return False


def test_what_was_written_is_read(tmp_path):
    assert quality.read(tmp_path) is None
    quality.write(tmp_path, WHOLE)
    assert quality.read(tmp_path) == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == [quality.FILE]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=integers(0, 1200), length=integers(0, 40), by=binary(max_size=4))
def test_any_damage_is_read_or_named(tmp_path, at, length, by):
    raw = msgspec.json.encode(WHOLE)
    damaged(tmp_path, raw[:at] + by + raw[at + length :])


def test_what_is_not_known_is_refused(tmp_path):
    plain = msgspec.to_builtins(WHOLE)
    assert damaged(tmp_path, msgspec.json.encode(plain | {"more": 1}))
    assert damaged(tmp_path, b" " * (quality.MOST_BYTES + 1))
    assert damaged(tmp_path, b"[" * 100_000)
    assert damaged(tmp_path, msgspec.json.encode(plain | {"layout": 2, "more": 1}))
    with pytest.raises(FormatError, match="layout 2, and this program reads 1"):
        quality.read(tmp_path)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_loss_that_no_measurement_gives_is_neither_written_nor_read(tmp_path, wrong):
    found = Quality(layout=1, weights="a" * 64, rows=[row(BASE, **wrong)])
    with pytest.raises(FormatError, match="no measurement gives"):
        quality.write(tmp_path, found)
    assert damaged(tmp_path, msgspec.json.encode(found))
