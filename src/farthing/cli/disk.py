"""How fast the disk gives a file that is not in memory. Measured, for at most a second or so."""

import os
from collections.abc import Iterator
from math import gcd
from pathlib import Path
from time import perf_counter

PIECE = 1 << 20
"""About the size of one expert's matrix: what a missing expert makes the kernel read."""
SECONDS = 1.0


def read_speed(path: Path, seconds: float = SECONDS) -> float:
    """Bytes a second, read a piece here and a piece there of the file itself.

    Each piece is first dropped from the page cache. The kernel keeps pages that another process
    has mapped: beside a server of the same model the figure is too high.
    """
    done = 0
    with path.open("rb", buffering=0) as file:
        count = -(-os.fstat(file.fileno()).st_size // PIECE)
        buffer = bytearray(PIECE)
        began = perf_counter()
        for piece in scattered(count):
            os.posix_fadvise(file.fileno(), piece * PIECE, PIECE, os.POSIX_FADV_DONTNEED)
            done += os.preadv(file.fileno(), [buffer], piece * PIECE)
            if perf_counter() - began > seconds:
                break
        return done / (perf_counter() - began)


def scattered(count: int) -> Iterator[int]:
    """0 .. count - 1 in leaps, so that what is read ahead of one is not the next."""
    leap = max(1, int(count * 0.618))
    while gcd(leap, count) > 1:
        leap += 1
    return (place * leap % count for place in range(count))
