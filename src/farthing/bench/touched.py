"""Which experts the tokens of a row really go to, and what its steps then read.

Work is otherwise counted as if tokens spread over experts evenly. Routers decide; they are watched
on a few steps, by a runner of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.bench.rig import Rigs
from farthing.bench.roofline import Counts
from farthing.engine.types import Runner, Sampled, Step
from farthing.ops.work import OpWork

EVERYBODY = 1 << 20
"""Tokens that together go to all experts."""


class Traced(Runner, Protocol):
    """NativeRunner with trace=True."""

    def routes(self, step: Step) -> NDArray[np.int32]: ...


class Watcher:
    """A runner that counts the distinct experts of every step, and chooses token 0."""

    def __init__(self, runner: Traced) -> None:
        self._runner = runner
        self.isa, self.threads, self.page_bytes = runner.isa, runner.threads, runner.page_bytes
        self.vocabulary, self.max_context = runner.vocabulary, runner.max_context
        self.max_step_tokens, self.pages = runner.max_step_tokens, runner.pages
        self.seen: dict[int, list[list[int]]] = {}
        """By tokens of a step: of each such step, the distinct experts of each layer."""

    def run(self, step: Step) -> Sampled:
        ids = self._runner.routes(step)
        distinct = [len(np.unique(layer)) for layer in ids]
        self.seen.setdefault(len(step.tokens), []).append(distinct)
        rows = len(step.rows)
        none = np.empty((rows, 0), np.int32)
        return Sampled(
            ids=np.zeros(rows, np.int32),
            logprobs=np.zeros(rows, np.float32),
            top_ids=none,
            top_logprobs=none.astype(np.float32),
        )

    def work(self, step: Step) -> NDArray[np.float64]:
        return self._runner.work(step)

    def distinct(self) -> dict[int, NDArray[np.float64]]:
        """By tokens of a step, the mean of each layer."""
        return {tokens: np.mean(steps, 0) for tokens, steps in self.seen.items()}


def watch(runner: Traced, run: Callable[[Rigs], None]) -> dict[int, NDArray[np.float64]]:
    """Distinct experts by tokens of a step, of the steps that `run` takes."""
    watcher = Watcher(runner)
    run(Rigs(watcher))
    return watcher.distinct()


@dataclass(frozen=True, slots=True)
class Touched:
    """The work of a step whose tokens touch so many experts as were seen at that many tokens.

    `experts` and `top_k` are of each layer that has experts.
    """

    counts: Counts
    experts: int
    top_k: int
    distinct: dict[int, NDArray[np.float64]]

    def work_of(self, tokens: Sequence[int], contexts: Sequence[int], rows: int) -> list[OpWork]:
        work = self.counts.work_of(tokens, contexts, rows)
        if (seen := self.distinct.get(sum(tokens))) is None:
            return work
        # An expert's bytes, from a step that touches top_k of them and one that touches all.
        few = self.counts.work_of([1], [0], 1)
        every = self.counts.work_of([EVERYBODY], [0], 1)
        layers, out = iter(seen), []
        for op, one, everything in zip(work, few, every, strict=True):
            if op.name == "experts":
                share = (float(next(layers)) - self.top_k) / (self.experts - self.top_k)
                op = replace(op, bytes=round(one.bytes + share * (everything.bytes - one.bytes)))
            out.append(op)
        return out

    def mean(self, tokens: int) -> float | None:
        """Distinct experts a layer in steps of so many tokens, if such were seen."""
        seen = self.distinct.get(tokens)
        return None if seen is None else float(seen.mean())
