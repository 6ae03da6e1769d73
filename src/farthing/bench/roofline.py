"""The least time a step can take here: for each op the larger of its bytes over the read bandwidth
and its operations over their peaks, summed. Arithmetic only; measures nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from farthing.ops.work import OpWork


class Counts(Protocol):
    """Tells the work of a step: a NativeRunner."""

    def work_of(
        self, tokens: Sequence[int], contexts: Sequence[int], rows: int
    ) -> list[OpWork]: ...


@dataclass(frozen=True, slots=True)
class Roof:
    """`read(size)`: bytes a second of a buffer that large. `peak(kind)`: operations a second."""

    read: Callable[[float], float]
    peak: Callable[[str], float]

    def seconds(self, work: Sequence[OpWork]) -> float:
        """Of one step. Bandwidth is that of a buffer as large as all that the step touches."""
        return sum(self.parts(work).values())

    def parts(self, work: Sequence[OpWork]) -> dict[str, float]:
        """Those seconds by the names of ops."""
        touched = sum(op.bytes for op in work)
        if not touched:
            return {}
        bandwidth, seconds = self.read(touched), dict.fromkeys((op.name for op in work), 0.0)
        for op in work:
            seconds[op.name] += max(op.bytes / bandwidth, self._arithmetic(op))
        return seconds

    def mean_seconds(self, steps: Iterable[Sequence[OpWork]]) -> float:
        """Of the steps of a run, one with another."""
        each = [self.seconds(work) for work in steps]
        return sum(each) / len(each)

    def _arithmetic(self, op: OpWork) -> float:
        done = {"int8": op.int8, "bf16": op.bf16, "fp32": op.fp32}
        return sum(count / self.peak(kind) for kind, count in done.items() if count)
