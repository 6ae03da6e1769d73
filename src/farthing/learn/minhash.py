"""Near-duplicates among many texts: MinHash signatures in bands (Broder 1997; LSH as in
Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).

Two texts are near where the share of their five-word runs that both have (Jaccard) is at least a
threshold, as their signatures estimate it: within 0.04 or so at 0.8. Texts that share that much
meet in at least one of 20 bands of 6 with probability 0.998.
"""

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.learn.grams import Hashes, mixed, shingles

BANDS, ROWS = 20, 6
SIZE = BANDS * ROWS
RUN = 5
"""Words of a shingle."""
LEAST, MOST = 0.6, 1.0
"""Thresholds: below it, texts that are near would often meet in no band."""

_generator = np.random.Generator(np.random.PCG64(0x0FA27119))
FACTORS = _generator.integers(0, 1 << 64, SIZE, np.uint64) | np.uint64(1)
TERMS = _generator.integers(0, 1 << 64, SIZE, np.uint64)
HIGH = np.uint64(32)

Signature = NDArray[np.uint32]


def signature(text: str) -> Signature:
    """[SIZE]: of each of SIZE hash functions (multiply and shift), the least over the shingles."""
    return of_shingles(shingles(text, RUN))


def of_shingles(found: Hashes) -> Signature:
    if not len(found):
        return np.zeros(SIZE, np.uint32)
    values = found[:, None] * FACTORS
    values += TERMS
    return np.asarray(values.min(0) >> HIGH, np.uint32)


class Near:
    """Signatures of texts in order; `first_of` then says which text each repeats."""

    def __init__(self, threshold: float) -> None:
        if not LEAST <= threshold <= MOST:
            raise InputError(
                f"texts are near from {threshold:g} on; expected a share from {LEAST:g} to {MOST:g}"
            )
        self.threshold = threshold
        self._held = bytearray()

    def add(self, signature: Signature) -> None:
        self._held += signature.tobytes()

    def first_of(self) -> NDArray[np.int64]:
        """[N]: an earlier text, itself kept, that this one is near to; -1 for one to keep."""
        signatures = np.frombuffer(self._held, np.uint32).reshape(-1, SIZE)
        found = np.full(len(signatures), -1, np.int64)
        groups = meetings(signatures)
        kept: dict[int, list[int]] = {}
        for index in np.flatnonzero((groups >= 0).any(1)):
            mine = groups[index][groups[index] >= 0].tolist()
            others = sorted({other for group in mine for other in kept.get(group, ())})
            if others:
                same = (signatures[others] == signatures[index]).mean(1)
                best = int(same.argmax())
                if same[best] >= self.threshold:
                    found[index] = others[best]
                    continue
            for group in mine:
                kept.setdefault(group, []).append(int(index))
        return found


def meetings(signatures: NDArray[np.uint32]) -> NDArray[np.int32]:
    """[N, BANDS]: a number for each group of two or more that are equal in a band; -1: alone."""
    groups = np.full((len(signatures), BANDS), -1, np.int32)
    begun = 0
    for band in range(BANDS):
        keys = folded(signatures[:, band * ROWS : (band + 1) * ROWS])
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        together = counts[inverse] > 1
        groups[together, band] = inverse[together] + begun
        begun += len(counts)
    return groups


def folded(rows: NDArray[np.uint32]) -> Hashes:
    """[N] of [N, ROWS]."""
    keys = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        keys = mixed(keys ^ column.astype(np.uint64))
    return keys
