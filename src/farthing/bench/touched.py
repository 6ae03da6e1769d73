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
from farthing.bench.routings import Routes, distinct
from farthing.engine.types import Runner, Sampled, Step
from farthing.ops.work import OpWork

EVERYBODY = 1 << 20
"""Tokens that together go to all experts."""


class Traced(Runner, Protocol):
    """NativeRunner with trace=True."""

    def routes(self, step: Step) -> Routes: ...


class Watcher:
    """A runner that keeps the routes of every step, and chooses token 0."""

    def __init__(self, runner: Traced) -> None:
        self._runner = runner
        self.isa, self.threads, self.page_bytes = runner.isa, runner.threads, runner.page_bytes
        self.vocabulary, self.max_context = runner.vocabulary, runner.max_context
        self.max_step_tokens, self.pages = runner.max_step_tokens, runner.pages
        self.seen: dict[int, list[Routes]] = {}
        """By tokens of a step."""

    def run(self, step: Step) -> Sampled:
        self.seen.setdefault(len(step.tokens), []).append(self._runner.routes(step))
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


def watch(runner: Traced, run: Callable[[Rigs], None]) -> dict[int, NDArray[np.float64]]:
    """[L] distinct experts by tokens of a step, the mean of the steps that `run` takes."""
    watcher = Watcher(runner)
    run(Rigs(watcher))
    return {tokens: distinct(steps) for tokens, steps in watcher.seen.items()}


@dataclass(frozen=True, slots=True)
class Touched:
    """The work of steps in which a layer's tokens together go to `distinct` [L] experts of all.

    A layer has `experts`, and a token takes `top_k` of them.
    """

    counts: Counts
    experts: int
    top_k: int
    distinct: NDArray[np.float64]

    def work_of(self, tokens: Sequence[int], contexts: Sequence[int], rows: int) -> list[OpWork]:
        work = self.counts.work_of(tokens, contexts, rows)
        # An expert's bytes, from a step that touches top_k of them and one that touches all.
        few = self.counts.work_of([1], [0], 1)
        every = self.counts.work_of([EVERYBODY], [0], 1)
        layers, out = iter(self.distinct), []
        for op, one, everything in zip(work, few, every, strict=True):
            if op.name == "experts":
                share = (float(next(layers)) - self.top_k) / (self.experts - self.top_k)
                op = replace(op, bytes=round(one.bytes + share * (everything.bytes - one.bytes)))
            out.append(op)
        return out
