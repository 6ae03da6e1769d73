"""Sequences on a bare runner, for raw speed: steps are built here, without engine or scheduler."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from farthing.engine.types import RowSampling, Runner, Sampled, Step
from farthing.errors import InputError

PAGE = 64
PLAIN = 1000
"""Ids from here on are plain text in the vocabularies we measure; below lie control tokens."""

Ids = NDArray[np.int32]


class Rigs:
    """Rigs on one runner, each with pages of its own, so that what one has filled stays."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.taken = 0

    def make(self, *, sequences: int, length: int) -> "Rig":
        """`sequences` side by side, each up to `length` tokens."""
        first, self.taken = self.taken, self.taken + sequences * -(-length // PAGE)
        if self.taken > self.runner.pages:
            raise InputError(
                f"these measurements take {self.taken} pages and the cache has"
                f" {self.runner.pages}; raise cache_bytes"
            )
        pages = np.arange(first, self.taken, dtype=np.int32)
        return Rig(self.runner, pages.reshape(sequences, -1))


class Rig:
    """Positions may be written again: the cache then holds what was written last."""

    def __init__(self, runner: Runner, tables: Ids) -> None:
        self.runner = runner
        self.tables = tables
        self.touched = np.zeros(len(tables), np.int64)

    def prefill(self, sequence: int, tokens: Ids, *, chunk: int) -> Sampled:
        """From position 0, `chunk` tokens a step at most; the token after the last is chosen."""
        sampled = None
        for first in range(0, len(tokens), chunk):
            part = tokens[first : first + chunk]
            last = first + len(part) == len(tokens)
            rows = [len(part) - 1] if last else []
            sampled = self._run(part, [0, len(part)], [first], slice(sequence, sequence + 1), rows)
        assert sampled is not None, "no tokens to prefill"
        return sampled

    def decode(self, tokens: Ids, position: int) -> Sampled:
        """One more token for each sequence, all at the same position."""
        count = len(tokens)
        bounds = range(count + 1)
        return self._run(tokens, bounds, [position] * count, slice(0, count), range(count))

    def _run(
        self,
        tokens: Ids,
        starts: Sequence[int],
        positions: Sequence[int],
        which: slice,
        rows: Sequence[int],
    ) -> Sampled:
        begins = np.array(positions, np.int32)
        ends = begins + np.diff(starts).astype(np.int32)
        after = ends if len(rows) == len(ends) else ends[:0]
        step = Step(
            tokens=np.ascontiguousarray(tokens, np.int32),
            starts=np.array(starts, np.int32),
            positions=begins,
            tables=np.ascontiguousarray(self.tables[which, : -(-int(ends.max()) // PAGE)]),
            fresh=self._fresh(which, ends),
            rows=np.array(rows, np.int32),
            sampling=greedy(after.astype(np.int32)),
        )
        return self.runner.run(step)

    def _fresh(self, which: slice, ends: Ids) -> Ids:
        needed, had = -(-ends // PAGE), self.touched[which]
        if (needed <= had).all():
            return np.empty(0, np.int32)
        tables = self.tables[which]
        new = [t[h:n] for t, h, n in zip(tables, had, needed, strict=True) if n > h]
        self.touched[which] = np.maximum(had, needed)
        return np.concatenate(new).astype(np.int32)


def greedy(positions: Ids) -> RowSampling:
    """Choose the likeliest token after each of the rows."""
    rows = len(positions)
    zeros, ints = np.zeros(rows, np.float32), np.zeros(rows, np.int32)
    return RowSampling(
        temperature=zeros,
        top_k=ints,
        top_p=np.ones(rows, np.float32),
        min_p=zeros,
        repetition=np.ones(rows, np.float32),
        presence=zeros,
        frequency=zeros,
        seed=np.zeros(rows, np.uint64),
        choice=np.zeros(rows, np.uint32),
        position=positions,
        logprobs=np.full(rows, -1, np.int32),
        first=np.zeros(rows + 1, np.int32),
        ids=np.empty(0, np.int32),
        bias=np.empty(0, np.float32),
        counts=np.empty(0, np.int32),
        seen=np.empty(0, np.uint8),
    )


def random_tokens(count: int, vocabulary: int, seed: int) -> Ids:
    least = min(PLAIN, vocabulary // 2)
    return np.random.default_rng(seed).integers(least, vocabulary, count, dtype=np.int32)
