"""Likelihoods of continuations on a bare runner: contexts that are shared are run once.

Continuations of one context are branches: its full pages are computed once and stand in the table
of each; what is left of it, less than a page, is run again with every branch. Continuations that
differ in their last token alone, as those of one token do, are one branch: it is never read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from farthing.errors import ContextTooLong
from farthing.evaluate.tasks.runs import PAGE, Reads, Run, advance
from farthing.evaluate.tasks.types import Likelihood, Pair


@dataclass(frozen=True, slots=True)
class Branch:
    """What is read once: a context and a continuation without its last token."""

    context: tuple[int, ...]
    body: tuple[int, ...]
    lasts: list[int] = field(default_factory=list)
    """The last tokens that are asked about."""
    places: list[int] = field(default_factory=list)
    """Of the pairs that ask."""

    @property
    def length(self) -> int:
        return len(self.context) + len(self.body)

    @property
    def pages(self) -> int:
        return -(-self.length // PAGE)

    def run(self, pages: list[int], *, shared: int) -> Run:
        """To be read on these pages, of which the first `shared` are filled already."""
        return Run(
            np.array([*self.context, *self.body], np.int32),
            pages,
            at=shared * PAGE,
            first=len(self.context) - 1,
            targets=np.array([[*self.body, last] for last in self.lasts], np.int32),
        )


@dataclass
class Wave:
    """Runs that are on pages together: first what is shared, then the branches."""

    shared: list[Run] = field(default_factory=list)
    branches: list[Run] = field(default_factory=list)


def most_tokens(runner: Reads) -> int:
    """Of a context and its continuation, whose last token is never read."""
    return min(runner.max_context, runner.pages * PAGE)


def likelihoods(
    runner: Reads, pairs: Sequence[Pair], told: Callable[[int], None]
) -> list[Likelihood]:
    """Of every pair, in order. Branches of one context share it if they follow each other.

    The runner's pages are used from the first on: nobody else may be on them. Raises
    ContextTooLong before anything is run.
    """
    must_fit(pairs, most_tokens(runner))
    found: dict[int, Likelihood] = {}
    branches = iter(every := branched(pairs))
    for wave in _waves(runner, every):
        advance(runner, wave.shared)
        advance(runner, wave.branches)
        for run, branch in zip(wave.branches, branches, strict=False):
            found.update(zip(branch.places, run.results(), strict=True))
        told(len(found))
    return [found[place] for place in range(len(pairs))]


def must_fit(pairs: Sequence[Pair], limit: int) -> None:
    """Raises ContextTooLong for the first that does not."""
    for context, continuation in pairs:
        assert context and continuation, "neither a context nor a continuation may be empty"
        if (read := len(context) + len(continuation) - 1) > limit:
            raise ContextTooLong(read, limit)


def branched(pairs: Sequence[Pair]) -> list[Branch]:
    """In the order in which they are first asked about."""
    made: dict[tuple[tuple[int, ...], tuple[int, ...]], Branch] = {}
    for place, (context, continuation) in enumerate(pairs):
        key = tuple(context), tuple(continuation[:-1])
        branch = made.setdefault(key, Branch(*key))
        branch.lasts.append(continuation[-1])
        branch.places.append(place)
    return list(made.values())


def _waves(runner: Reads, branches: Sequence[Branch]) -> Iterator[Wave]:
    """As many groups of one context together as fill a step, and fit on the pages."""
    wave, free, tokens = Wave(), runner.pages, 0
    for group in _groups(runner, branches):
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


def _groups(runner: Reads, branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """Branches of one context, no more of them than the pages hold together."""
    for context, same in groupby(branches, key=lambda branch: branch.context):
        full = _full(context)
        group: list[Branch] = []
        needed = full
        for branch in same:
            own = branch.pages - full
            if group and needed + own > runner.pages:
                yield group
                group, needed = [], full
            group.append(branch)
            needed += own
        yield group


def _group(branches: Sequence[Branch], page: int) -> tuple[Wave, int]:
    """The runs of one context's branches on pages from `page` on; how many pages they take."""
    context = branches[0].context
    full = _full(context) if len(branches) > 1 else 0
    shared = list(range(page, page + full))
    wave, begin = Wave(), page
    page += full
    if full:
        head, nothing = np.array(context[: full * PAGE], np.int32), np.empty((0, 0), np.int32)
        wave.shared.append(Run(head, shared, at=0, first=len(head), targets=nothing))
    for branch in branches:
        own = list(range(page, page + branch.pages - full))
        page += len(own)
        wave.branches.append(branch.run([*shared, *own], shared=full))
    return wave, page - begin


def _full(context: Sequence[int]) -> int:
    """Pages of a context that are full before its last token, whose logits are wanted."""
    return (len(context) - 1) // PAGE
