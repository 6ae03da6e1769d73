"""What is measured of random weights: rows, limits, what a step reads, and how it is told."""

import json

import numpy as np
import pytest
from rich.console import Console
from small_shapes import small

from farthing.bench import loaded, random_packed, random_suite, random_tell
from farthing.bench.machine import LARGEST
from farthing.bench.random_rows import Drawn
from farthing.bench.random_suite import Reads
from farthing.bench.routings import distinct, recorded, zipf
from farthing.bench.touched import Touched
from farthing.errors import FarthingError, InputError
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
        trace = zipf(2, 8, 2).draw(100).astype(np.int32)
        return random_suite.run(
            folder, rounds=1, threads=1, quick=False, seen=lambda row: None, trace=trace
        )


def test_every_row_is_there_with_its_limit(result):
    names = ["prefill 512", *(f"decode, batch {n}, depth 0" for n in (1, 8, 32))]
    names.append("decode, batch 1, depth 4096")
    for routing in ("Zipf 1", "as recorded"):
        names += [f"decode, batch {n}, depth 0, {routing}" for n in (8, 32)]
    assert [row.case.name for row in result.rows] == names
    for row in result.rows:
        assert row.rate.median > 0 and row.case.limit > 0
        for shares in (row.spent, row.least):
            assert sum(shares.values()) == pytest.approx(1)
            assert shares["experts"] > 0 and shares["attention"] > 0 and shares["router"] > 0


def test_more_streams_touch_more_experts_and_skewed_ones_fewer(result):
    read = {row.case.name: row.step_bytes for row in result.rows}
    one, eight, many = (read[f"decode, batch {n}, depth 0"] for n in (1, 8, 32))
    assert one < eight < many < 2 * result.weight_bytes
    assert read["decode, batch 8, depth 0, Zipf 1"] < eight


def test_the_work_counts_the_experts_that_were_seen():
    class Even:
        """Two layers of 8 experts, 2 a token, 10 bytes each; 5 are shared."""

        def work_of(self, tokens, contexts, rows):
            count = 2 if sum(tokens) == 1 else 8 if sum(tokens) > 100 else 7
            return [OpWork("linear", 3), *[OpWork("experts", 5 + 10 * count, int8=9)] * 2]

    touched = Touched(Even(), 8, 2, np.array([2.0, 6.5]))
    work = touched.work_of([1] * 4, [0] * 4, 4)
    assert [op.bytes for op in work] == [3, 25, 70]
    assert [op.int8 for op in work] == [0, 9, 9]


def test_routing_is_watched_in_the_steps_of_each_row(result):
    seen = {row.case.name: row.case.distinct for row in result.rows}
    assert seen["decode, batch 1, depth 0"] == seen["decode, batch 1, depth 4096"] == 2
    assert 4 < seen["decode, batch 8, depth 0"] < 8
    assert seen["prefill 512"] == 8


def test_drawn_routes_follow_their_law_and_are_sorted():
    routes = zipf(2, 16, 4).draw(4000)
    assert routes.shape == (2, 4000, 4) and (np.diff(routes, axis=-1) > 0).all()
    used = np.sort(np.bincount(routes[0].reshape(-1), minlength=16))[::-1]
    # Without replacement: the likeliest can be taken once a token, 4,000 times.
    assert used[0] > 3000 and used[-1] < used[0] / 4
    assert not np.array_equal(routes[0], routes[1])
    even = np.bincount(zipf(1, 16, 4, exponent=0).draw(4000).reshape(-1))
    assert even.max() / even.min() < 1.2


def test_a_trace_is_replayed_token_by_token_and_of_another_shape_refused():
    ids = np.array([[[0, 1], [2, 3]], [[4, 5], [6, 7]]], np.int32)
    drawn = recorded(ids, 2, 8, 2).draw(100)
    pairs = {(tuple(a), tuple(b)) for a, b in zip(*drawn.tolist(), strict=True)}
    assert pairs == {((0, 1), (4, 5)), ((2, 3), (6, 7))}
    assert recorded(ids, 1, 8, 2).draw(5).shape == (1, 5, 2)
    for layers, experts, top_k in ((3, 8, 2), (2, 7, 2), (2, 8, 3)):
        with pytest.raises(InputError, match=rf"this model has {layers} layers with {experts}"):
            recorded(ids, layers, experts, top_k)


def test_distinct_experts_are_counted_by_layer():
    steps = [np.array([[[0, 1], [0, 2]], [[3, 4], [3, 4]]]), np.array([[[0, 1]], [[0, 1]]])]
    assert distinct(steps).tolist() == [2.5, 2.0]


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
    for words in ("batch 32 ", "batch 1, depth 4096", "batch 8, as recorded", "experts", "router"):
        assert words in text


def test_the_process_that_loads_has_the_bits_of_cache_it_is_told(result, home):
    folder = random_packed.made(small("qwen3-30b-a3b"))
    assert loaded.measure(folder, 1, 16).page_bytes == result.loaded.page_bytes
    with pytest.raises(FarthingError, match="kv_bits is 5"):
        loaded.measure(folder, 1, 5)
