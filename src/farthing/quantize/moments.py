"""What calibration sees of a linear's inputs, added up chunk by chunk.

Shapes: T rows of a chunk, K inputs.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from farthing.quantize.beside import After
from farthing.quantize.types import Drift, Moments, Weights

BLOCK = 2048
"""Columns of a Hessian made at once: what is added to a wide one then takes little room."""


class Gathering:
    """Moments in the making. Of wide inputs only the blocks below the diagonal are added up."""

    def __init__(self, width: int, *, magnitudes: bool = True) -> None:
        """`magnitudes`: whether anybody asks for them."""
        self.count = 0
        self.hessian = np.zeros((width, width), np.float32)
        self.magnitude = np.zeros(width, np.float32) if magnitudes else None
        self.moved: Weights | None = None
        self.compared: Weights | None = None
        self.told = 0

    def add(self, x: Weights) -> None:
        """Rows [T, K]."""
        self.adding(x)()

    def compare(self, before: Weights, x: Weights) -> None:
        """All rows [T, K] that were added since the last time, and what they were before anything
        was quantized. Those not compared come after all that are."""
        self.comparing(before, x)()

    def adding(self, x: Weights) -> After:
        """`add`, the products made at once and in any thread, unless they are wide."""
        x = np.ascontiguousarray(x)  # BLAS then makes half of a product
        count = len(x)
        magnitude = None if self.magnitude is None else np.abs(x).sum(0)
        if len(self.hessian) > BLOCK:
            return lambda: self._added(
                count, magnitude, (x[:, a:b].T @ x[:, :b] for a, b in self._blocks())
            )
        products = [x.T @ x]
        return lambda: self._added(count, magnitude, products)

    def comparing(self, before: Weights, x: Weights) -> After:
        """`compare`, its product made at once and in any thread."""
        moved = np.matmul((before - x).T, x, dtype=np.float32)

        def compare() -> None:
            self.moved = moved if self.moved is None else self.moved + moved
            self.compared = self.hessian.copy()
            self.told = self.count

        return compare

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

    def _added(self, count: int, magnitude: Weights | None, products: Iterable[Weights]) -> None:
        self.count += count
        if self.magnitude is not None and magnitude is not None:
            self.magnitude += magnitude
        for (a, b), product in zip(self._blocks(), products, strict=True):
            self.hessian[a:b, :b] += product

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
