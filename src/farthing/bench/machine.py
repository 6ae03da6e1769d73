"""What this machine can do at most, measured when first asked for and kept for the run.

The best of several tries: a limit is what no program passes, and a neighbour only lowers it.
Knows no model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from farthing.ops import limits

SMALLEST = 1 << 18
LARGEST = 1 << 29
"""Buffers to read. Beyond the largest, memory is as fast as there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes and operations a second, on `threads` threads."""

    threads: int
    read: Mapping[int, float]
    """By bytes of the buffer."""
    peaks: Mapping[str, float]
    """By limits.KINDS."""
    instructions: Mapping[str, str]


class Machine:
    def __init__(self, threads: int, *, tries: int = 5, seconds: float = 0.1) -> None:
        self.threads = threads
        self._tries, self._seconds = tries, seconds
        self._read: dict[int, float] = {}
        self._peaks: dict[str, float] = {}

    def read(self, size: float) -> float:
        """Bytes a second from a buffer of about as many bytes as `size`."""
        rung = nearest_rung(size)
        if rung not in self._read:
            self._read[rung] = self._best(lambda s: limits.read(rung, self.threads, s))
        return self._read[rung]

    def read_file(self, size: int, path: Path) -> float:
        """The same from a mapped file: its pages are small and lie where they fell."""
        return self._best(lambda s: limits.read(size, self.threads, s, path))

    def peak(self, kind: str) -> float:
        """Operations a second of one of limits.KINDS."""
        if kind not in self._peaks:
            self._peaks[kind] = self._best(lambda s: limits.arithmetic(kind, self.threads, s))
        return self._peaks[kind]

    def limits(self) -> Limits:
        """All peaks, and what was read so far."""
        return Limits(
            threads=self.threads,
            read=dict(sorted(self._read.items())),
            peaks={kind: self.peak(kind) for kind in limits.KINDS},
            instructions={kind: limits.instruction(kind) for kind in limits.KINDS},
        )

    def _best(self, measure: Callable[[float], float]) -> float:
        return max(measure(self._seconds) for _ in range(self._tries))


def nearest_rung(size: float) -> int:
    """The nearest of 2^k and 1.5 x 2^k bytes, from SMALLEST to LARGEST."""
    powers = range(SMALLEST.bit_length() - 1, LARGEST.bit_length())
    rungs = [rung for k in powers for rung in (1 << k, 3 << (k - 1)) if rung <= LARGEST]
    return min(rungs, key=lambda rung: max(rung / size, size / rung))
