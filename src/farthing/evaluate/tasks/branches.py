"""Likelihoods of continuations on a bare runner: contexts that are shared are run once.

Continuations of one context are branches: its full pages are computed once and stand in the table
of each; what is left of it, less than a page, is run again with every branch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import fsum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.engine.types import Step
from farthing.errors import ContextTooLong
from farthing.evaluate.readings import NOTHING
from farthing.evaluate.tasks.types import Likelihood, Pair

PAGE = 64
LOGITS_BYTES = 64 << 20
"""Of the logits of one step."""

Logits = NDArray[np.float32]


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

    tokens: NDArray[np.int32]
    pages: list[int]
    at: int
    first: int
    owned: int
    """Of its pages those before this one are another's: filled already."""
    targets: NDArray[np.int32]
    """The tokens that follow those from `first` on."""
    terms: list[float] = field(default_factory=list)
    """Log-probabilities of the targets that have been met."""
    greedy: bool = True

    @property
    def left(self) -> int:
        return len(self.tokens) - self.at

    def take(self, logits: Logits, done: int) -> None:
        """Logits [R, V] of R rows, of which the first is its row `done`."""
        targets = self.targets[done : done + len(logits)]
        wide = logits.astype(np.float64)
        top = wide.max(-1)
        chosen = wide[np.arange(len(targets)), targets]
        self.terms += (chosen - top - np.log(np.exp(wide - top[:, None]).sum(-1))).tolist()
        self.greedy &= bool((logits.argmax(-1) == targets).all())

    def result(self) -> Likelihood:
        """The sum is rounded once: how the run was cut into steps does not show."""
        return Likelihood(fsum(self.terms), self.greedy)


@dataclass
class Wave:
    """Runs that are on pages together: first what is shared, then the branches."""

    shared: list[Run] = field(default_factory=list)
    branches: list[Run] = field(default_factory=list)


def most_tokens(runner: Reads) -> int:
    """Of a context and its continuation."""
    return min(runner.max_context, runner.pages * PAGE)


def likelihoods(
    runner: Reads, pairs: Sequence[Pair], told: Callable[[int], None]
) -> list[Likelihood]:
    """Of every pair, in order. Pairs of one context share it if they follow each other.

    The runner's pages are used from the first on: nobody else may be on them. Raises
    ContextTooLong before anything is run.
    """
    limit = most_tokens(runner)
    for context, continuation in pairs:
        assert context and continuation, "neither a context nor a continuation may be empty"
        if len(context) + len(continuation) > limit:
            raise ContextTooLong(len(context) + len(continuation), limit)
    found: list[Likelihood] = []
    for wave in _waves(runner, pairs):
        _advance(runner, wave.shared)
        _advance(runner, wave.branches)
        found += [run.result() for run in wave.branches]
        told(len(found))
    return found


def _waves(runner: Reads, pairs: Sequence[Pair]) -> Iterator[Wave]:
    """As many groups of one context together as fill a step, and fit on the pages."""
    wave, free, tokens = Wave(), runner.pages, 0
    for group in _groups(runner, pairs):
        made, needed = _group(group, runner.pages - free)
        if wave.branches and (needed > free or tokens >= runner.max_step_tokens):
            yield wave
            wave, free, tokens = Wave(), runner.pages, 0
            made, needed = _group(group, 0)
        wave.shared += made.shared
        wave.branches += made.branches
        free -= needed
        tokens += sum(run.left for run in made.branches)
    if wave.branches:
        yield wave


def _groups(runner: Reads, pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Pairs of one context, no more of them than the pages hold together."""
    for context, same in groupby(pairs, key=lambda pair: tuple(pair.context)):
        group: list[Pair] = []
        needed = _full(len(context))
        for pair in same:
            own = _pages(pair) - _full(len(context))
            if group and needed + own > runner.pages:
                yield group
                group, needed = [], _full(len(context))
            group.append(pair)
            needed += own
        yield group


def _group(pairs: Sequence[Pair], page: int) -> tuple[Wave, int]:
    """The runs of one context's pairs on pages from `page` on, and how many pages they take."""
    context = pairs[0].context
    full = _full(len(context)) if len(pairs) > 1 else 0
    shared = list(range(page, page + full))
    wave, begin = Wave(), page
    page += full
    nothing = np.empty(0, np.int32)
    if full:
        head = np.array(context[: full * PAGE], np.int32)
        wave.shared.append(
            Run(head, shared, at=0, first=len(head), owned=0, targets=nothing),
        )
    for pair in pairs:
        own = list(range(page, page + _pages(pair) - full))
        page += len(own)
        wave.branches.append(
            Run(
                np.array([*context, *pair.continuation[:-1]], np.int32),
                [*shared, *own],
                at=full * PAGE,
                first=len(context) - 1,
                owned=full,
                targets=np.array(pair.continuation, np.int32),
            )
        )
    return wave, page - begin


def _full(context: int) -> int:
    """Pages of a context that are full before its last token, whose logits are wanted."""
    return (context - 1) // PAGE


def _pages(pair: Pair) -> int:
    return -(-(len(pair.context) + len(pair.continuation) - 1) // PAGE)


def _advance(runner: Reads, runs: Sequence[Run]) -> None:
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
        fresh += run.pages[max(had, run.owned) : needed]
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
