"""What is measured of random weights: rows, limits, what a step reads, and how it is told."""

import json

import numpy as np
import pytest
from rich.console import Console
from small_shapes import small

from farthing.bench import random_packed, random_suite, random_tell
from farthing.bench.machine import LARGEST
from farthing.bench.random_suite import Drawn, Reads
from farthing.bench.touched import Touched
from farthing.ops.work import OpWork


class Counted:
    """A machine that reads at a gigabyte a second, and notes what it was asked."""

    def __init__(self, file=2e9):
        self.files, self.file = [], file

    def read(self, size):
        return 1e9

    def read_file(self, size, path):
        self.files.append(size)
        return self.file


def test_memory_as_large_as_a_model_is_never_asked_for(tmp_path):
    machine = Counted()
    reads = Reads(machine, tmp_path, 17 << 30)
    assert reads(LARGEST) == 1e9 and not machine.files
    assert reads(1.7e9) == reads(2.0e9) == 2e9
    assert machine.files == [1 << 31]
    assert reads(60e9) == 2e9 and machine.files[-1] == 17 << 30
    assert reads.taken.keys() == {1 << 31, 17 << 30}


def test_a_slow_mapping_does_not_lower_the_limit(tmp_path):
    assert Reads(Counted(file=5e8), tmp_path, 17 << 30)(4e9) == 1e9


def test_tokens_are_others_at_every_call():
    drawn = Drawn(5000)
    first, second = drawn(32, 0), drawn(32, 0)
    assert len(first) == 32 and not np.array_equal(first, second)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Of a small model, its rows all run for real."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HOME", str(tmp_path_factory.mktemp("home")))
        folder = random_packed.made(small("qwen3-30b-a3b"))
        return random_suite.run(folder, rounds=1, threads=1, quick=False, seen=lambda row: None)


def test_every_row_is_there_with_its_limit(result):
    names = ["prefill 512", *(f"decode, batch {n}, depth 0" for n in (1, 8, 32))]
    assert [row.name for row in result.rows] == [*names, "decode, batch 1, depth 4096"]
    for row in result.rows:
        assert row.rate.median > 0 and row.limit > 0
        assert sum(row.parts.values()) == pytest.approx(1)
        assert "experts" in row.parts


def test_more_streams_touch_more_experts_but_never_more_than_there_are(result):
    by_name = {row.name: row.step_bytes for row in result.rows}
    one, eight, many = (by_name[f"decode, batch {n}, depth 0"] for n in (1, 8, 32))
    assert one < eight < many
    assert many < result.weight_bytes * 2


def test_the_work_counts_the_experts_that_were_seen():
    class Even:
        """Two layers of 8 experts, 2 a token, 10 bytes each; 5 are shared."""

        def work_of(self, tokens, contexts, rows):
            count = 2 if sum(tokens) == 1 else 8 if sum(tokens) > 100 else 7
            return [OpWork("linear", 3), *[OpWork("experts", 5 + 10 * count, int8=9)] * 2]

    touched = Touched(Even(), 8, 2, {4: np.array([2.0, 6.5])})
    work = touched.work_of([1] * 4, [0] * 4, 4)
    assert [op.bytes for op in work] == [3, 25, 70]
    assert [op.int8 for op in work] == [0, 9, 9]
    assert touched.work_of([1] * 3, [0] * 3, 3) == Even().work_of([1] * 3, [0] * 3, 3)
    assert touched.mean(4) == 4.25 and touched.mean(3) is None


def test_routing_is_watched_in_the_steps_of_each_row(result):
    distinct = {row.name: row.distinct for row in result.rows}
    assert distinct["decode, batch 1, depth 0"] == distinct["decode, batch 1, depth 4096"] == 2
    assert 4 < distinct["decode, batch 8, depth 0"] < 8
    assert distinct["prefill 512"] == 8


def test_the_process_that_loads_tells_what_it_keeps(result):
    loaded = result.loaded
    assert 0 < loaded.load_seconds < 60
    assert 0 < loaded.page_bytes < loaded.own_bytes < loaded.peak_bytes


def test_it_is_told_to_programs_and_to_people(result):
    record = json.loads(json.dumps(random_tell.record(result)))
    assert record["rates"]["prefill 512"]["step_bytes"] > 0
    assert record["own_bytes"] == result.loaded.own_bytes
    console = Console(width=80, record=True)
    console.print(random_tell.table(result))
    text = console.export_text()
    assert "decode, batch 32, depth 0" in text and "experts" in text
