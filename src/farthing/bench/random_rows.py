"""The rows measured on random weights: what is run, what its steps read, and the limit of that.

Tokens are drawn, not chosen: a random model would soon choose the same ones again and again, and
with them the same experts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.bench import decode, prefill
from farthing.bench.rig import Ids, Rigs, random_tokens
from farthing.bench.roofline import Counts, Roof
from farthing.bench.routings import Routing, distinct
from farthing.bench.touched import Touched, Traced, watch
from farthing.engine.runner import NativeRunner
from farthing.ops.work import OpWork

PROMPT = 512
DEEP = 4096
WATCHED = 8
"""Steps of each batch whose routing is watched."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    tokens: int
    """Of a step."""
    run: Callable[[], float]
    """Tokens a second."""
    work: list[OpWork]
    """Of a step."""
    limit: float
    """Tokens a second that this machine allows."""
    distinct: float | None
    """Experts of a layer that a step's tokens go to, on average; None without experts."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Of a model with experts."""

    layers: int
    experts: int
    top_k: int
    watched: dict[int, NDArray[np.float64]]
    """[L] distinct experts that routers choose, by tokens of a step."""


def prompt_of(runner: NativeRunner | Traced) -> int:
    return min(PROMPT, runner.max_context)


def decodes(runner: NativeRunner | Traced, quick: bool) -> list[decode.Row]:
    steps = min(32, runner.max_context // 2)
    rows = [decode.Row(1, 0, 2 * steps), decode.Row(8, 0, steps), decode.Row(32, 0, steps // 2)]
    deep = decode.Row(1, min(DEEP, runner.max_context - steps), steps)
    return [rows[0], rows[2]] if quick else [*rows, deep]


def mixture(traced: Traced, experts: int, top_ks: list[int], quick: bool) -> Mixture:
    def run(rigs: Rigs) -> None:
        prefill.measure(rigs, prompt_of(traced))()
        for batch in {row.batch for row in decodes(traced, quick)}:
            decode.measure(rigs, decode.Row(batch, 0, WATCHED), Drawn(traced.vocabulary))()

    return Mixture(len(top_ks), experts, top_ks[0], watch(traced, run))


class Cases:
    """Makes rows that share one runner."""

    def __init__(self, runner: NativeRunner, roof: Roof, mixture: Mixture | None) -> None:
        self.runner, self.roof, self.mixture = runner, roof, mixture
        self.rigs = Rigs(runner)

    def all(self, routings: list[Routing], quick: bool) -> list[Case]:
        rows = decodes(self.runner, quick)
        drawn = [(row, routing) for routing in routings for row in rows if row.batch > 1]
        return [
            self.prompt(prompt_of(self.runner)),
            *(self.chosen(row) for row in rows),
            *(self.routed(row, routing) for row, routing in drawn),
        ]

    def prompt(self, tokens: int) -> Case:
        counts, seen = self._counts(tokens)
        work, limit = counts.work_of([tokens], [0], 1), prefill.limit(self.roof, counts, tokens)
        run = prefill.measure(self.rigs, tokens)
        return Case(f"prefill {tokens}", tokens, run, work, limit, seen)

    def chosen(self, row: decode.Row) -> Case:
        """Tokens go where the routers say."""
        run = decode.measure(self.rigs, row, Drawn(self.runner.vocabulary))
        return self._decode(row.name, row, run, *self._counts(row.batch))

    def routed(self, row: decode.Row, routing: Routing) -> Case:
        """Tokens go where the routing says."""
        assert self.mixture is not None
        steps, drawn = (
            [routing.draw(row.batch) for _ in range(row.steps)],
            Drawn(self.runner.vocabulary),
        )

        def given(batch: int, step: int) -> Ids:
            self.runner.send(steps[step])
            return drawn(batch, step)

        measured = decode.measure(self.rigs, row, given)

        def run() -> float:
            try:
                return measured()
            finally:
                self.runner.send(None)

        touched = distinct(steps)
        counts = Touched(self.runner, self.mixture.experts, self.mixture.top_k, touched)
        name = f"{row.name}, {routing.name}"
        return self._decode(name, row, run, counts, float(touched.mean()))

    def _decode(
        self,
        name: str,
        row: decode.Row,
        run: Callable[[], float],
        counts: Counts,
        seen: float | None,
    ) -> Case:
        middle = row.depth + row.steps // 2
        work = counts.work_of([1] * row.batch, [middle] * row.batch, row.batch)
        return Case(name, row.batch, run, work, decode.limit(self.roof, counts, row), seen)

    def _counts(self, tokens: int) -> tuple[Counts, float | None]:
        if self.mixture is None:
            return self.runner, None
        seen = self.mixture.watched[tokens]
        touched = Touched(self.runner, self.mixture.experts, self.mixture.top_k, seen)
        return touched, float(seen.mean())


class Drawn:
    """Tokens at random, others at every call."""

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary, self._calls = vocabulary, 0

    def __call__(self, batch: int, step: int) -> Ids:
        self._calls += 1
        return random_tokens(batch, self._vocabulary, self._calls)
