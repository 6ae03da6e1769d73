"""The work of a step, counted the long way."""

import numpy as np
import pytest

from farthing.config import KV_BITS
from farthing.ops.work import CACHE_BITS, cache_bytes, positions_seen


@pytest.mark.parametrize("window", [0, 1, 5, 64, 1000])
def test_positions_seen_are_those_counted_one_by_one(window: int) -> None:
    for tokens, before in ((1, 0), (1, 70), (9, 0), (9, 3), (100, 0), (100, 60), (3, 63)):
        seen = [
            range(max(0, p + 1 - window) if window else 0, p + 1)
            for p in range(before, before + tokens)
        ]
        pairs, read = positions_seen(np.array([float(tokens)]), np.array([float(before)]), window)
        assert pairs[0] == sum(len(s) for s in seen)
        assert read[0] == len(set().union(*seen))


def test_fewer_bits_of_cache_are_less_by_what_scales_and_minima_leave() -> None:
    for numbers in (32, 64, 192, 576):
        whole = cache_bytes(numbers, 16)
        assert whole == 2 * numbers
        assert cache_bytes(numbers, 8) / whole == pytest.approx(8.5 / 16)
        assert cache_bytes(numbers, 4) / whole == pytest.approx(5 / 16)
    assert tuple(CACHE_BITS) == KV_BITS
