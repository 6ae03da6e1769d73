"""The loops that measure the machine run, take any sane size, and refuse the rest."""

import pytest

from farthing.bench import machine
from farthing.bench.machine import Machine
from farthing.ops import limits

SHORT = 0.002


@pytest.mark.parametrize("kind", limits.KINDS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_kind_of_arithmetic_gives_a_rate(kind, threads):
    assert limits.arithmetic(kind, threads, SHORT) > 1e6
    assert limits.instruction(kind)


@pytest.mark.parametrize("size", [12 * 1024, 100_001, 1 << 20, (1 << 20) + 513])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_size_can_be_read(size, threads):
    assert limits.read(size, threads, SHORT) > 1e6


def test_a_mapped_file_can_be_read(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"w" * 100_000)
    assert limits.read(100_000, 2, SHORT, path) > 1e6
    with pytest.raises(ValueError, match="shorter"):
        limits.read(100_001, 2, SHORT, path)
    with pytest.raises(ValueError, match="cannot open"):
        limits.read(100_000, 2, SHORT, tmp_path / "absent")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((100, 1, SHORT), "4096 bytes a thread"),
        ((1 << 20, 0, SHORT), "threads"),
        ((1 << 20, 1, 0.0), "seconds"),
        ((1 << 20, 1, float("nan")), "seconds"),
        ((1 << 20, 1, 1e9), "seconds"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        limits.read(*arguments)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match="int8, bf16, fp32"):
        limits.arithmetic("int2", 1, SHORT)


def test_a_limit_is_measured_once_and_is_the_best_of_its_tries(monkeypatch):
    given = iter([3.0, 9.0, 5.0])
    monkeypatch.setattr(machine.limits, "read", lambda size, threads, seconds: next(given))
    one = Machine(2, tries=3)
    assert one.read(100 << 20) == 9.0
    assert one.read(96 << 20) == 9.0
