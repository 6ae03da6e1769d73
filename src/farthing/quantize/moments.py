"""What calibration sees of a linear's inputs, added up chunk by chunk.

Shapes: T rows of a chunk, K inputs.
"""

from collections.abc import Iterator

import numpy as np

from farthing.quantize.types import Drift, Moments, Weights

BLOCK = 2048
"""Columns of a Hessian made at once: what is added to a wide one then takes little room."""


class Gathering:
    """Moments in the making. Of wide inputs only the blocks below the diagonal are added up."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.hessian = np.zeros((width, width), np.float32)
        self.magnitude = np.zeros(width, np.float32)
        self.moved: Weights | None = None
        self.compared: Weights | None = None
        self.told = 0

    def add(self, x: Weights) -> None:
        """Rows [T, K], which have to lie in one piece: BLAS then makes half of a product."""
        x = np.ascontiguousarray(x)
        self.count += len(x)
        for a, b in self._blocks():
            self.hessian[a:b, :b] += x[:, a:b].T @ x[:, :b]
        self.magnitude += np.abs(x).sum(0)

    def compare(self, before: Weights, x: Weights) -> None:
        """All rows [T, K] that were added since the last time, and what they were before anything
        was quantized. Those not compared come after all that are."""
        moved = np.matmul((before - x).T, x, dtype=np.float32)
        self.moved = moved if self.moved is None else self.moved + moved
        self.compared = self.hessian.copy()
        self.told = self.count

    def done(self) -> Moments:
        drift = None
        if self.moved is not None and self.compared is not None:
            drift = Drift(count=self.told, moved=self.moved, hessian=self._whole(self.compared))
        return Moments(
            count=self.count,
            hessian=self._whole(self.hessian),
            magnitude=self.magnitude,
            drift=drift,
        )

    def _whole(self, half: Weights) -> Weights:
        for a, b in self._blocks():
            half[:a, a:b] = half[a:b, :a].T
        return half

    def _blocks(self) -> Iterator[tuple[int, int]]:
        for a in range(0, len(self.hessian), BLOCK):
            yield a, min(a + BLOCK, len(self.hessian))


def energy(rows: Weights, moments: Moments | None) -> float:
    """The sum of |row . x|^2 over all rows and all x that were seen; without any, of |row|^2."""
    if moments is None:
        return float(np.vdot(rows, rows))
    return float(np.vdot(rows @ moments.hessian, rows))
