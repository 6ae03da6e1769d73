"""A runner whose next token depends on every token before it, as read through the page tables.

Its memory holds token ids, so a wrong table, a page not zeroed or a shared page written again
changes tokens or trips an assert. Started by tests/engine/test_client.py in a process of its own.
"""

import os
import signal
import time
from hashlib import blake2b
from pathlib import Path

import numpy as np

from farthing.config import EngineConfig
from farthing.engine.types import RowSampling, Sampled, Step
from farthing.errors import FormatError

PAGE = 64
DIRT = 9999


class ToyRunner:
    isa = "toy"
    threads = 1
    page_bytes = 4 * PAGE

    def __init__(
        self, *, pages: int = 64, max_context: int = 1024, step_tokens: int = 256, vocabulary=61
    ):
        self.pages, self.max_context = pages, max_context
        self.max_step_tokens, self.vocabulary = step_tokens, vocabulary
        self.memory = np.full((pages, PAGE), DIRT, np.int32)  # token id + 1; 0 is a zeroed place
        self.steps: list[tuple[int, int]] = []  # tokens and segments of each step
        self.touched = 0

    def run(self, step: Step) -> Sampled:
        check_step(self, step)
        self.steps.append((len(step.tokens), len(step.positions)))
        self.memory[step.fresh] = 0
        self.touched = max(self.touched, int(step.tables.max()) + 1)
        for segment, position in enumerate(step.positions.tolist()):
            begin, end = step.starts[segment : segment + 2]
            self.write(step.tables[segment], position, step.tokens[begin:end])
        logits = np.stack([self.logits(step, row) for row in step.rows.tolist()] or [np.empty(0)])
        return sample(logits, step.sampling) if len(step.rows) else nothing()

    def write(self, table, position, tokens):
        places = np.arange(position, position + len(tokens))
        pages, at = table[places // PAGE], places % PAGE
        assert (pages >= 0).all(), "a segment lies on a page it does not have"
        assert (self.memory[pages, at] == 0).all(), "a place is written twice, or was not zeroed"
        self.memory[pages, at] = tokens + 1

    def logits(self, step: Step, row: int):
        segment = int(np.searchsorted(step.starts, row, "right")) - 1
        length = int(step.positions[segment] + row - step.starts[segment]) + 1
        table = step.tables[segment, : -(-length // PAGE)]
        assert (table >= 0).all(), "the past lies on a page that is not in the table"
        places = self.memory[table].reshape(-1)
        assert (places[:length] > 0).all() and (places[:length] != DIRT).all(), "unwritten past"
        assert (places[length:] == 0).all(), "the rest of the last page was not zeroed"
        key = int.from_bytes(blake2b(places[:length].tobytes(), digest_size=8).digest(), "little")
        return uniform(key, np.arange(self.vocabulary)).astype(np.float32) * 8

    def work(self, step: Step):
        lengths = np.diff(step.starts)
        work = lengths * (1.0 + (step.positions + lengths / 2) / 100)
        return work / work.sum()


def check_step(runner: ToyRunner, step: Step) -> None:
    assert 0 < len(step.tokens) <= runner.max_step_tokens
    assert step.starts[0] == 0 and step.starts[-1] == len(step.tokens)
    assert (np.diff(step.starts) > 0).all() and len(step.starts) == len(step.positions) + 1
    assert len(set(step.fresh.tolist())) == len(step.fresh)
    assert (np.diff(step.rows) > 0).all() and set(step.rows + 1) <= set(step.starts[1:])
    for array in (step.tokens, step.starts, step.positions, step.tables, step.fresh, step.rows):
        assert array.dtype == np.int32 and array.flags.c_contiguous
    sampling = step.sampling
    for name in sampling.__struct_fields__:
        assert getattr(sampling, name).flags.c_contiguous, name
        if name not in ("first", "ids", "bias", "counts", "seen"):
            assert len(getattr(sampling, name)) == len(step.rows), name
    assert len(sampling.first) == len(step.rows) + 1 and sampling.first[-1] == len(sampling.ids)


def sample(logits, sampling: RowSampling) -> Sampled:
    most = max(0, int(sampling.logprobs.max()))
    ids, logprobs = np.empty(len(logits), np.int32), np.empty(len(logits), np.float32)
    top_ids = np.zeros((len(logits), most), np.int32)
    top_logprobs = np.zeros((len(logits), most), np.float32)
    for row, values in enumerate(logits):
        adjust(values, sampling, row)
        shifted = values - values.max()
        log = shifted - np.log(np.exp(shifted).sum())
        ids[row] = choice = choose(values, sampling, row)
        logprobs[row] = log[choice]
        top_ids[row] = np.argsort(-log, kind="stable")[:most]
        top_logprobs[row] = log[top_ids[row]]
    return Sampled(ids=ids, logprobs=logprobs, top_ids=top_ids, top_logprobs=top_logprobs)


def adjust(values, sampling: RowSampling, row: int) -> None:
    begin, end = sampling.first[row : row + 2]
    ids = sampling.ids[begin:end]
    assert len(set(ids.tolist())) == len(ids)
    old, seen, counts = values[ids], sampling.seen[begin:end], sampling.counts[begin:end]
    scaled = np.where(old > 0, old / sampling.repetition[row], old * sampling.repetition[row])
    new = np.where(seen > 0, scaled, old) + sampling.bias[begin:end]
    new -= sampling.frequency[row] * counts + sampling.presence[row] * (counts > 0)
    values[ids] = new


def choose(values, sampling: RowSampling, row: int) -> int:
    if sampling.temperature[row] == 0:
        return int(values.argmax())
    key = int(sampling.seed[row]) ^ int(sampling.choice[row]) << 40 ^ int(sampling.position[row])
    noise = -np.log(-np.log(uniform(key, np.arange(len(values)))))
    if k := int(sampling.top_k[row]):
        values = np.where(values < np.sort(values)[-k:][0], -np.inf, values)
    return int((values / sampling.temperature[row] + noise).argmax())


def uniform(key: int, ids):
    """Of each id, a number in (0, 1) that depends on key and id alone."""
    mixed = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64(key)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(factor)
    return ((mixed >> np.uint64(12)).astype(np.float64) + 0.5) / 2**52


def nothing() -> Sampled:
    return Sampled(
        ids=np.empty(0, np.int32),
        logprobs=np.empty(0, np.float32),
        top_ids=np.empty((0, 0), np.int32),
        top_logprobs=np.empty((0, 0), np.float32),
    )


class Doomed(ToyRunner):
    """Token 13 in a prompt kills the process; each step takes a moment, as a real one does."""

    def run(self, step: Step) -> Sampled:
        time.sleep(0.002)
        if len(step.tokens) > len(step.positions) and (step.tokens == 13).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(step)


def make(folder: Path, config: EngineConfig) -> ToyRunner:
    if (folder / "damaged").exists():
        raise FormatError(f"{folder} is damaged; pull it again")
    return Doomed(step_tokens=config.max_step_tokens, max_context=4096, pages=256)
