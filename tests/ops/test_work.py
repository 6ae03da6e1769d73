"""The work of a step, counted the long way."""

import numpy as np
import pytest

from farthing.ops.cache_grids import grids, latent_grid
from farthing.ops.work import positions_seen


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


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("layers", [2, 30, 48])
def test_fewer_bits_of_cache_are_less_by_what_scales_and_minima_leave(width, layers) -> None:
    def share(kv_bits: int) -> float:
        both = (g.bytes(width) for layer in range(layers) for g in grids(kv_bits, layer, layers))
        return sum(both) / (4 * width * layers)

    assert share(16) == 1
    assert share(8) == 8.5 / 16
    assert share(4) <= 0.32
    assert latent_grid(4).bytes(576) / latent_grid(16).bytes(576) == 5 / 16
