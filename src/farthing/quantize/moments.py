"""What calibration sees of a linear's inputs, added up chunk by chunk.

Shapes: T rows of a chunk, K inputs.
"""

import numpy as np

from farthing.quantize.types import Moments, Weights


class Gathering:
    """Moments in the making."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.hessian = np.zeros((width, width), np.float32)
        self.magnitude = np.zeros(width, np.float32)

    def add(self, x: Weights) -> None:
        """Rows [T, K], which have to lie in one piece: BLAS then makes half of the product."""
        x = np.ascontiguousarray(x)
        self.count += len(x)
        self.hessian += x.T @ x
        self.magnitude += np.abs(x).sum(0)

    def done(self) -> Moments:
        return Moments(count=self.count, hessian=self.hessian, magnitude=self.magnitude)


def energy(rows: Weights, moments: Moments | None) -> float:
    """The sum of |row . x|^2 over all rows and all x that were seen; without any, of |row|^2."""
    if moments is None:
        return float(np.vdot(rows, rows))
    return float(np.vdot(rows @ moments.hessian, rows))
