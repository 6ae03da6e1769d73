"""The native attention of a training step: arrays of bf16 as int16, of which rows may lie apart.

What does not fit is a ValueError, before anything is read. Work is done without the interpreter's
lock, each document with each kv head by one thread: bits depend neither on how many there are nor
on what else lies in the rows. Shapes: T tokens, n documents, h heads, g kv heads; d and c, widths
of keys and values, multiples of 8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing import _native

Bf16 = NDArray[np.int16]

ISA = "avx512bf16"
"""The one instruction set that it is made of."""

WIDEST = 256
"""Numbers of a head, at most."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Causal, within documents: tokens bounds[i] to bounds[i + 1] are document i's."""

    bounds: NDArray[np.int64]
    heads: int
    kv_heads: int
    scale: float
    window: int
    threads: int

    def forward(self, q: Bf16, k: Bf16, v: Bf16, out: Bf16, stats: NDArray[np.float32]) -> None:
        """q [T, h * d], k [T, g * d], v [T, g * c] -> out [T, h * c], and stats [h, 2, T]: the
        largest score times log2(e), and the sum of 2^(such a score - the largest)."""
        _native.train_attend(q, k, v, *self._settings(), out, stats)

    def backward(
        self,
        inputs: tuple[Bf16, Bf16, Bf16],
        outputs: tuple[Bf16, NDArray[np.float32]],
        grad: Bf16,
        grads: tuple[Bf16, Bf16, Bf16],
    ) -> None:
        """inputs' grads, from what `forward` took and gave, and out's grad [T, h * c]."""
        _native.train_attend_back(*inputs, *self._settings(), *outputs, grad, *grads)

    def _settings(self) -> tuple[NDArray[np.int64], int, int, float, int, int]:
        return self.bounds, self.heads, self.kv_heads, self.scale, self.window, self.threads
