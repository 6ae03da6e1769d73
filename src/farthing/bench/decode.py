"""How fast answers are written: many tokens, one for each sequence a step, from a given depth."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from farthing.bench.rig import Ids, Rig, Rigs, random_tokens
from farthing.bench.roofline import Counts, Roof


@dataclass(frozen=True, slots=True)
class Row:
    """`batch` sequences with `depth` tokens each in the cache; `steps` tokens more for each."""

    batch: int
    depth: int
    steps: int

    @property
    def name(self) -> str:
        return f"decode, batch {self.batch}, depth {self.depth}"


ROWS = (
    Row(1, 0, 128),
    Row(1, 4096, 64),
    *(Row(batch, 128, 128) for batch in (1, 2, 4, 8, 16, 32)),
)


Given = Callable[[int, int], Ids]
"""The tokens of a batch at a step."""


def measure(rigs: Rigs, row: Row, given: Given | None = None) -> Callable[[], float]:
    """Tokens a second, all sequences together. The depth is filled once, before the first run.

    What is chosen at a step is fed to the next, unless tokens are given.
    """
    runner, rig = rigs.runner, rigs.make(sequences=row.batch, length=row.depth + row.steps)
    filled = False

    def once() -> float:
        nonlocal filled
        if not filled:
            fill(rig, row)
            filled = True
        tokens = random_tokens(row.batch, runner.vocabulary, 1)
        start = perf_counter()
        for step in range(row.steps):
            tokens = given(row.batch, step) if given else tokens
            tokens = rig.decode(tokens, row.depth + step).ids
        return row.batch * row.steps / (perf_counter() - start)

    return once


def fill(rig: Rig, row: Row) -> None:
    runner = rig.runner
    for sequence in range(row.batch if row.depth else 0):
        tokens = random_tokens(row.depth, runner.vocabulary, sequence)
        rig.prefill(sequence, tokens, chunk=runner.max_step_tokens)


def limit(roof: Roof, runner: Counts, row: Row) -> float:
    """Tokens a second at most. Work grows evenly with depth: first and last step tell the mean."""
    ends = (row.depth, row.depth + row.steps - 1)
    steps = [runner.work_of([1] * row.batch, [end] * row.batch, row.batch) for end in ends]
    return row.batch / roof.mean_seconds(steps)
