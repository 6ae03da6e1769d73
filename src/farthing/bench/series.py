"""Repeated measurements: taken in turn, told by their median and their best.

One run on a shared machine says little: a neighbour slows it, and nothing makes it too fast.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one row, in the order they were taken; of a rate, the largest is the best."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def best(self) -> float:
        return max(self.values)

    @property
    def worst(self) -> float:
        return min(self.values)

    @property
    def spread(self) -> float:
        """How far the values lie apart, as a share of the median."""
        return (self.best - self.worst) / self.median if self.median else 0.0


def interleaved(
    rows: Mapping[str, Callable[[], float]],
    rounds: int,
    seen: Callable[[str], None] = lambda row: None,
) -> dict[str, Series]:
    """Every row once to warm up, then A B C A B C ..., `rounds` times. `seen` is told each row
    before it runs."""
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(rounds + 1):
        for name, measure in rows.items():
            seen(name)
            value = measure()
            if turn:
                taken[name].append(value)
    return {name: Series(tuple(values)) for name, values in taken.items()}
