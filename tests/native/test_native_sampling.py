"""The native sampler makes the reference's choices, from logits that a test sets one by one."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp, up
from toy_native import FORMS, config, folder, greedy, runner, step, tensors

from farthing import weight
from farthing.engine.types import RowSampling
from farthing.ops import sampling

Logits = NDArray[np.float32]
ROWS = 16
SIZES = [1, 2, 15, 16, 17, 97, 1030]


class Sampler:
    """The native side with a head that is the identity: logits are what the test says, in bf16."""

    def __init__(self, isa: str, logits: Logits) -> None:
        rows, size = logits.shape
        np.testing.assert_array_equal(weight.bf16_to_f32(weight.f32_to_bf16(logits)), logits)
        self.logits, self.op = logits, OneOp(isa, max_tokens=rows)
        native, source = self.op.native, self.op.floats(size)
        native.embed(self.op.weight(weight.dense(logits)), source)
        wanted = native.slot(4 * up(size, 16), True, False, True)
        native.rows(source, size, wanted)
        rounded = native.slot(2 * up(size, 32), True, False, True)
        native.quantize(wanted, 1, size, "bf16", rounded)
        native.logits(rounded, self.op.weight(weight.dense(np.eye(size, dtype=np.float32))))
        native.finish(0)

    def run(self, s: RowSampling) -> sampling.Chosen:
        rows = len(s.temperature)
        top = max(0, int(s.logprobs.max()))
        out = (
            np.zeros(rows, np.int32),
            np.zeros(rows, np.float32),
            np.zeros((rows, top), np.int32),
            np.zeros((rows, top), np.float32),
        )
        every = np.arange(rows, dtype=np.int32)
        self.op.native.step(
            every,
            np.array([0, rows], np.int32),
            np.zeros(1, np.int32),
            np.zeros((1, 0), np.int32),
            np.zeros(0, np.int32),
            every,
            rows,
            *(getattr(s, name) for name in RowSampling.__struct_fields__),
            *out,
        )
        return sampling.Chosen(*out)


def bf16(values: Any) -> Logits:
    return weight.bf16_to_f32(weight.f32_to_bf16(np.asarray(values, np.float32)))


def random_settings(rng: np.random.Generator, rows: int, size: int) -> RowSampling:
    """Any settings, extremes often, and adjustments of a few tokens of each row."""

    def some(*values: Any) -> NDArray[Any]:
        return rng.choice(values, rows)

    counts = rng.integers(0, min(size, 12) + 1, rows)
    ids = [np.sort(rng.choice(size, n, replace=False)) for n in counts]
    total = int(counts.sum())
    flat = np.concatenate([*ids, []]).astype(np.int32)
    bias = rng.choice([0.0, 1.0, -5.0, 100.0, -100.0, -np.inf], total) + rng.random(total)
    bias[flat == 0] = 0.5  # not every token may be banned
    return greedy(
        rows,
        temperature=np.where(rng.random(rows) < 0.3, some(0.0, 1e-3, 100.0), rng.random(rows) * 5),
        top_k=some(0, 0, 1, 2, 7, 40, size, 2 * size),
        top_p=np.where(rng.random(rows) < 0.4, some(1.0, 1e-6, 0.0), rng.random(rows)),
        min_p=np.where(rng.random(rows) < 0.6, some(0.0, 1.0), rng.random(rows) ** 3),
        repetition=some(1.0, 1.0, 0.5, 1.1, 3.0),
        presence=some(0.0, 0.7, -0.7, 2.0),
        frequency=some(0.0, 0.3, -0.3),
        seed=rng.integers(0, 1 << 64, rows, dtype=np.uint64),
        choice=rng.integers(0, 1 << 32, rows, dtype=np.uint32),
        position=rng.integers(0, 1 << 20, rows),
        logprobs=np.minimum(some(-1, 0, 1, 5, 20), size),
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        ids=flat,
        bias=bias.astype(np.float32),
        counts=rng.integers(0, 3, total).astype(np.int32),
        seen=rng.integers(0, 2, total).astype(np.uint8),
    )


def possible(adjusted: Logits, s: RowSampling, r: int) -> set[int]:
    """The reference's choice, and those with top_p and min_p moved by less than rounding moves
    the sums they are held against."""
    out = set()
    for move in (0, -2e-6, 2e-6):
        for at in (0, -2e-6, 2e-6):
            near = greedy(len(s.seed), **{f: getattr(s, f).copy() for f in s.__struct_fields__})
            near.top_p[r] *= 1 + move
            near.min_p[r] *= 1 + at
            out.add(sampling.choose(adjusted, near, r))
    return out


def assert_agrees(got: sampling.Chosen, logits: Logits, s: RowSampling) -> int:
    """Returns how many choices differ from the reference's, all of them possible."""
    expected, differ = sampling.sample(logits, s), 0
    for r, row in enumerate(logits):
        if got.ids[r] != expected.ids[r]:
            differ += 1
            assert got.ids[r] in possible(sampling.adjust(row, s, r), s, r), f"row {r}"
        asked = int(s.logprobs[r])
        if asked < 0:
            continue
        logprobs = sampling.log_softmax(sampling.adjust(row, s, r))
        assert abs(got.logprobs[r] - logprobs[got.ids[r]]) <= 1e-5
        np.testing.assert_array_equal(got.top_ids[r, :asked], expected.top_ids[r, :asked])
        there = np.maximum(expected.top_logprobs[r, :asked], -1e30)  # the native floor of a ban
        np.testing.assert_allclose(got.top_logprobs[r, :asked], there, rtol=1e-6, atol=1e-5)
    return differ


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["spread", "ties", "equal"])
def test_choices_are_the_references(isa: str, size: int, kind: str) -> None:
    rng, differ = np.random.default_rng(size), 0
    for spread in (0.5, 4.0, 20.0):
        logits = rng.standard_normal((ROWS, size)) * spread
        if kind == "ties":
            logits = np.round(logits)
        if kind == "equal":
            logits[:] = spread
        sampler = Sampler(isa, bf16(logits))
        for _ in range(6 if size < 1000 else 2):
            s = random_settings(rng, ROWS, size)
            differ += assert_agrees(sampler.run(s), sampler.logits, s)
    assert differ <= 2, "more differ than lie next to an edge"


def test_one_allowed_token_is_taken(isa: str) -> None:
    """All others banned by minus infinity, whatever else is set."""
    size = 97
    sampler = Sampler(isa, bf16(np.random.default_rng(1).standard_normal((ROWS, size)) * 5))
    left = [r * 6 for r in range(ROWS)]
    ids = np.concatenate([np.delete(np.arange(size, dtype=np.int32), id) for id in left])
    for temperature in (0.0, 1e-3, 1.0, 100.0):
        for changes in (
            {},
            {"top_p": 0.5},
            {"top_k": 5},
            {"min_p": 0.1},
            {"top_k": 5, "top_p": 0.9},
        ):
            s = greedy(
                ROWS,
                temperature=temperature,
                logprobs=0,
                seed=np.arange(ROWS),
                first=np.arange(0, ROWS * 96 + 1, 96, dtype=np.int32),
                ids=ids,
                bias=np.full(len(ids), -np.inf, np.float32),
                counts=np.zeros(len(ids), np.int32),
                seen=np.zeros(len(ids), np.uint8),
                **changes,
            )
            got = sampler.run(s)
            assert got.ids.tolist() == left
            np.testing.assert_allclose(got.logprobs, 0, atol=1e-6)


@pytest.mark.parametrize("temperature", [1e-38, 1e-20, 1e-7, 1e-5, 1e-4])
def test_next_to_zero_is_next_to_greedy(isa: str, temperature: float) -> None:
    """Scores of such temperatures overflow, or lose their noise to rounding."""
    logits = bf16(np.random.default_rng(2).standard_normal((ROWS, 97)) * 50)
    for changes in ({}, {"top_p": 0.5}, {"top_k": 5, "min_p": 0.2}):
        s = greedy(ROWS, temperature=temperature, seed=np.arange(ROWS), **changes)
        assert Sampler(isa, logits).run(s).ids.tolist() == logits.argmax(1).tolist()
        assert sampling.sample(logits, s).ids.tolist() == logits.argmax(1).tolist()


def test_lost_logits_harm_nobody(isa: str) -> None:
    """A broken model's NaN gives some token, whatever the row beside it was given."""
    logits = np.full((2, 40), np.nan, np.float32)
    logits[1] = bf16(np.linspace(0, 4, 40))
    op = OneOp(isa, max_tokens=2)
    sampler = Sampler(isa, np.nan_to_num(logits))
    sampler.op, native, source = op, op.native, op.floats(40)
    broken = weight.dense(np.nan_to_num(logits))
    broken.codes[0] = 0x7FC0
    native.embed(op.weight(broken), source)
    wanted = native.slot(256, True, False, True)
    native.rows(source, 40, wanted)
    rounded = native.slot(128, True, False, True)
    native.quantize(wanted, 1, 40, "bf16", rounded)
    native.logits(rounded, op.weight(weight.dense(np.eye(40, dtype=np.float32))))
    native.finish(0)
    for changes in ({}, {"top_p": 0.5}, {"top_k": 5}, {"min_p": 0.2}, {"temperature": 0.0}):
        s = greedy(2, **({"temperature": 1.0} | changes))
        ids = sampler.run(s).ids
        assert 0 <= ids[0] < 40
        assert (
            ids[1] == sampling.sample(logits[1:], greedy(1, **({"temperature": 1.0} | changes)))[0]
        )


def test_a_runner_samples_its_own_logits(isa: str, tmp_path: Any) -> None:
    c = config(vocab_size=211)
    r = runner(folder(tmp_path / "toy", c, tensors(c, FORMS["int4-min"])))
    rng = np.random.default_rng(3)
    pieces = [(s, 0, rng.integers(0, 211, 3).tolist()) for s in range(ROWS)]
    logits = r.logits(step(pieces, rows=range(0, 48, 3)))
    for _ in range(8):
        s = random_settings(rng, ROWS, 211)
        got = r.run(step(pieces, rows=range(0, 48, 3), sampling=s))
        chosen = sampling.Chosen(got.ids, got.logprobs, got.top_ids, got.top_logprobs)
        assert assert_agrees(chosen, logits, s) <= 1
