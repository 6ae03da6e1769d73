"""Sequences on a bare runner, read to their ends for the likelihoods of what they hold.

Shapes: R tokens of a sequence whose logits are wanted, C continuations, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.engine.types import Step
from farthing.evaluate.readings import NOTHING
from farthing.evaluate.tasks.types import Likelihood

PAGE = 64
LOGITS_BYTES = 32 << 20
"""Of the logits of one step; their likelihoods take four times as much again."""

Logits = NDArray[np.float32]
Ints = NDArray[np.int32]


class Reads(Protocol):
    """NativeRunner, or anything that gives logits of steps."""

    vocabulary: int
    max_context: int
    max_step_tokens: int
    pages: int

    def logits(self, step: Step) -> Logits: ...


@dataclass(eq=False)
class Run:
    """One sequence on its pages, read up to `at`. Tokens from `first` on want their logits."""

    tokens: Ints
    pages: list[int]
    at: int
    first: int
    targets: Ints
    """[C, R] the tokens of each of C continuations: they follow the R from `first` on."""
    terms: list[NDArray[np.float64]] = field(default_factory=list)
    """[C, r] each: log-probabilities of the targets that have been met."""
    likeliest: list[NDArray[np.bool_]] = field(default_factory=list)
    """[C, r] each: whether no token was likelier."""

    @property
    def left(self) -> int:
        return len(self.tokens) - self.at

    def take(self, logits: Logits, done: int) -> None:
        """Logits [r, V] of rows, of which the first is its row `done`."""
        targets = self.targets[:, done : done + len(logits)]
        wide = logits.astype(np.float64)
        top = wide.max(-1)
        chosen = wide[np.arange(len(logits)), targets]
        self.terms.append(chosen - top - np.log(np.exp(wide - top[:, None]).sum(-1)))
        self.likeliest.append(targets == logits.argmax(-1))

    def results(self) -> list[Likelihood]:
        """[C]. A sum is rounded once: how the run was cut into steps does not show."""
        terms, likeliest = np.hstack(self.terms), np.hstack(self.likeliest)
        return [
            Likelihood(fsum(row), bool(all_.all()))
            for row, all_ in zip(terms.tolist(), likeliest, strict=True)
        ]


def advance(runner: Reads, runs: Sequence[Run]) -> None:
    """Reads all runs to their ends, many in a step."""
    most_rows = max(1, LOGITS_BYTES // (4 * runner.vocabulary))
    todo = list(runs)
    while todo:
        parts: list[tuple[Run, int]] = []
        tokens, rows = runner.max_step_tokens, most_rows
        for run in todo:
            before = max(0, run.first - run.at)
            length = min(run.left, tokens, before + rows)
            if length <= 0:
                break
            parts.append((run, length))
            tokens -= length
            rows -= max(0, length - before)
        _step(runner, parts)
        todo = [run for run in todo if run.left]


def _step(runner: Reads, parts: Sequence[tuple[Run, int]]) -> None:
    starts = np.cumsum([0, *(length for _, length in parts)]).astype(np.int32)
    rows = [
        np.arange(max(run.first, run.at), run.at + length) - run.at + start
        for (run, length), start in zip(parts, starts, strict=False)
    ]
    width = max(-(-(run.at + length) // PAGE) for run, length in parts)
    tables = np.full((len(parts), width), -1, np.int32)
    fresh: list[int] = []
    for table, (run, length) in zip(tables, parts, strict=True):
        had, needed = -(-run.at // PAGE), -(-(run.at + length) // PAGE)
        table[:needed] = run.pages[:needed]
        fresh += run.pages[had:needed]
    logits = runner.logits(
        Step(
            tokens=np.concatenate([run.tokens[run.at : run.at + n] for run, n in parts]),
            starts=starts,
            positions=np.array([run.at for run, _ in parts], np.int32),
            tables=tables,
            fresh=np.array(fresh, np.int32),
            rows=np.concatenate(rows).astype(np.int32),
            sampling=NOTHING,
        )
    )
    at = 0
    for (run, length), wanted in zip(parts, rows, strict=True):
        if len(wanted):
            run.take(logits[at : at + len(wanted)], max(run.at - run.first, 0))
        at += len(wanted)
        run.at += length
