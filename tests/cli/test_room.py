"""Whether a model fits, and what is said before it is loaded."""

from itertools import pairwise

import pytest

from farthing import cli
from farthing.cli import room
from farthing.cli.awake import Awake
from farthing.cli.disk import read_speed, scattered
from farthing.cli.room import BESIDE, expect, missing_bytes
from farthing.config import EngineConfig
from farthing.errors import InputError

WEIGHTS = 96_436_224
"""Bytes that a token of SmolLM2 reads: all of its matrices."""
CONTEXT = 8192 * 23_040
CONFIG = EngineConfig()
MIXTURE = Awake(
    parameters=0,
    active=0,
    always_bytes=1000,
    expert_bytes=8000,
    chosen_bytes=800,
    context_bytes=10,
    max_context=100,
)
DENSE = Awake(
    parameters=0,
    active=0,
    always_bytes=1000,
    expert_bytes=0,
    chosen_bytes=0,
    context_bytes=10,
    max_context=100,
)


def unasked(path) -> float:
    raise AssertionError("the disk is not measured where the model fits")


def disk(rate: float):
    return lambda path: rate


def test_a_token_reads_from_the_disk_what_memory_does_not_keep():
    assert missing_bytes(MIXTURE, 9000) == missing_bytes(MIXTURE, 10**9) == 0
    assert missing_bytes(MIXTURE, 1000 + 6000) == 800 / 4
    assert missing_bytes(MIXTURE, 1000) == 800


def test_what_is_read_in_turn_and_does_not_fit_is_never_found():
    assert missing_bytes(MIXTURE, 999) == 1800
    assert (missing_bytes(DENSE, 1000), missing_bytes(DENSE, 999)) == (0, 1000)
    assert missing_bytes(DENSE, -5) == 1000


def test_a_model_that_fits_has_one_line_and_the_disk_rests(smollm2):
    found = expect(smollm2, CONFIG, answers=64, available=10**10, speed=unasked)
    assert found.fits and "\n" not in found.line
    for part in ("96.9 MB of weights", "1.07 GB of KV cache", "200.0 MB beside", "10.00 GB free"):
        assert part in found.line


def test_one_answer_needs_no_more_cache_than_its_context(smollm2):
    have = 100_000_000 + BESIDE + CONTEXT
    assert expect(smollm2, CONFIG, answers=1, available=have, speed=unasked).fits
    assert not expect(smollm2, CONFIG, answers=64, available=have, speed=disk(1e9)).fits


def test_fewer_bits_of_cache_leave_room_for_weights(smollm2):
    have = 100_000_000 + BESIDE + 8192 * 7_344
    four = EngineConfig(kv_bits=4)
    assert expect(smollm2, four, answers=1, available=have, speed=unasked).fits
    assert not expect(smollm2, CONFIG, answers=1, available=have, speed=disk(1e9)).fits


def test_a_model_that_does_not_fit_says_what_to_expect_and_why(smollm2):
    found = expect(smollm2, CONFIG, answers=1, available=BESIDE + CONTEXT, speed=disk(5e8))
    rate = 5e8 / WEIGHTS
    assert not found.fits and f"at most about {rate:.2g} tokens/s" in found.line
    assert "96.4 MB that a token reads, 96.4 MB come from the disk, at 500.0 MB/s" in found.line


def test_below_the_floor_it_is_refused_with_the_numbers(smollm2):
    small, slow = BESIDE + CONTEXT, disk(5e7)
    with pytest.raises(InputError, match=r"about 0.52 tokens/s.* floor of 1 .*--floor 0"):
        expect(smollm2, CONFIG, answers=1, available=small, speed=slow)
    assert not expect(smollm2, CONFIG, answers=1, available=small, speed=slow, floor=0.5).fits
    with pytest.raises(InputError, match="floor is -1"):
        expect(smollm2, CONFIG, answers=1, floor=-1)


def test_a_server_hears_of_the_cache_that_would_fit(smollm2):
    have = 100_000_000 + BESIDE + (1 << 28)
    found = expect(smollm2, CONFIG, answers=64, available=have, speed=disk(1e9))
    size = int(found.line.split("--cache-bytes ")[1].split()[0])
    smaller = EngineConfig(cache_bytes=size)
    assert expect(smollm2, smaller, answers=64, available=have, speed=unasked).fits


@pytest.mark.parametrize("verb", ["run", "chat", "serve"])
def test_a_verb_refuses_before_it_loads(verb, smollm2_home, capsys, monkeypatch):
    def full(folder, config, *, answers, floor):
        return expect(folder, config, answers=answers, floor=floor, available=0, speed=disk(1e7))

    monkeypatch.setattr(room, "expect", full)
    assert cli.main([verb, "smollm2-135m", *(["hi"] if verb == "run" else [])]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("farthing: smollm2-135m does not fit in memory")


def test_every_piece_is_read_and_few_neighbours_follow_each_other():
    for count in (1, 2, 7, 100, 1024):
        order = list(scattered(count))
        assert sorted(order) == list(range(count))
        if count > 7:
            assert all(after - before != 1 for before, after in pairwise(order))


def test_the_disk_is_measured_on_the_file_itself(tmp_path):
    (tmp_path / "weights").write_bytes(bytes(3_000_000))
    assert read_speed(tmp_path / "weights") > 1e6
    assert read_speed(tmp_path / "weights", seconds=0) > 1e6
