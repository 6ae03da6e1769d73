"""The least time a step can take here: for each op the larger of its bytes over the read bandwidth
and its operations over their peaks, summed. Arithmetic only; measures nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from farthing.ops.work import OpWork


@dataclass(frozen=True, slots=True)
class Roof:
    """`read(size)`: bytes a second of a buffer that large. `peak(kind)`: operations a second."""

    read: Callable[[float], float]
    peak: Callable[[str], float]

    def seconds(self, work: Sequence[OpWork]) -> float:
        """Of one step. Bandwidth is that of a buffer as large as all that the step touches."""
        touched = sum(op.bytes for op in work)
        if not touched:
            return 0.0
        bandwidth = self.read(touched)
        return sum(max(op.bytes / bandwidth, self._arithmetic(op)) for op in work)

    def mean_seconds(self, steps: Iterable[Sequence[OpWork]]) -> float:
        """Of the steps of a run, one with another."""
        each = [self.seconds(work) for work in steps]
        return sum(each) / len(each)

    def _arithmetic(self, op: OpWork) -> float:
        done = {"int8": op.int8, "bf16": op.bf16, "fp32": op.fp32}
        return sum(count / self.peak(kind) for kind, count in done.items() if count)
