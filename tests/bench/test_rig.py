"""Steps built without an engine obey the runner's contract, and ask for what they should."""

import numpy as np
import pytest

from farthing.bench import decode, prefill
from farthing.bench.rig import Rigs, random_tokens
from farthing.engine.types import Sampled
from farthing.errors import InputError


class Recorder:
    """A runner that keeps what it was told. It checks that a page is fresh when first met."""

    vocabulary, max_context, max_step_tokens, pages = 5000, 8192, 64, 40

    def __init__(self):
        self.known = set()
        self.steps = []

    def run(self, step):
        self.known |= set(step.fresh.tolist())
        ends = step.positions + np.diff(step.starts)
        for table, end in zip(step.tables, ends, strict=True):
            needed = table[: -(-int(end) // 64)]
            assert set(needed.tolist()) <= self.known, "a page was used before it was fresh"
        assert len(step.sampling.position) == len(step.rows) == len(step.sampling.first) - 1
        assert len(step.tokens) == step.starts[-1] <= self.max_step_tokens
        self.steps.append(step)
        rows = len(step.rows)
        empty = np.empty((rows, 0), np.int32)
        return Sampled(
            ids=np.full(rows, 7, np.int32),
            logprobs=np.zeros(rows, np.float32),
            top_ids=empty,
            top_logprobs=empty.astype(np.float32),
        )


def test_a_prompt_is_read_in_chunks_and_only_its_end_is_asked_for():
    runner = Recorder()
    assert prefill.measure(Rigs(runner), 150)() > 0
    assert [len(step.tokens) for step in runner.steps] == [64, 64, 22]
    assert [step.rows.tolist() for step in runner.steps] == [[], [], [21]]
    assert [step.positions.tolist() for step in runner.steps] == [[0], [64], [128]]


def test_decode_starts_at_its_depth_each_time_and_fills_it_once():
    runner = Recorder()
    run = decode.measure(Rigs(runner), decode.Row(2, 100, 3))
    run()
    first = len(runner.steps)
    run()
    assert len(runner.steps) - first == 3
    assert [step.positions.tolist() for step in runner.steps[-3:]] == [
        [100] * 2,
        [101] * 2,
        [102] * 2,
    ]
    assert runner.steps[-1].tokens.tolist() == [7, 7]


def test_depth_zero_needs_no_prompt():
    runner = Recorder()
    decode.measure(Rigs(runner), decode.Row(1, 0, 2))()
    assert [step.positions.tolist() for step in runner.steps] == [[0], [1]]


def test_rigs_on_one_runner_do_not_share_pages():
    rigs = Rigs(Recorder())
    one, two = rigs.make(sequences=2, length=65), rigs.make(sequences=1, length=64)
    assert not set(one.tables.reshape(-1)) & set(two.tables.reshape(-1))


def test_more_than_the_cache_holds_is_refused_with_both_counts():
    with pytest.raises(InputError, match=r"41 pages .* 40"):
        Rigs(Recorder()).make(sequences=41, length=64)


def test_tokens_repeat_with_their_seed_and_are_plain_text():
    a, b = random_tokens(100, 5000, 1), random_tokens(100, 5000, 1)
    assert a.tolist() == b.tolist() != random_tokens(100, 5000, 2).tolist()
    assert a.min() >= 1000 and a.max() < 5000
