"""The figures of a routing trace, on traces whose figures are known."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from farthing.evaluate.routing import Trace, distinct, expected, figures, usage
from farthing.evaluate.routing_cache import best, curves


def trace(rows, experts: int) -> Trace:
    """Layers of tokens of ids."""
    ids = np.array(rows, np.int32)
    return Trace(ids=ids, experts=experts, layers=tuple(range(len(ids))))


def random_ids(layers: int, tokens: int, top_k: int, experts: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    picked = rng.random((layers, tokens, experts)).argsort(2)[..., :top_k]
    return np.sort(picked, axis=2).astype(np.int32)


def even(experts: int, top_k: int, rounds: int) -> Trace:
    """Every expert as often as another: each token takes the next top_k."""
    ids = np.arange(experts * rounds).reshape(1, -1, top_k) % experts
    return trace(ids, experts)


def test_every_use_is_counted_at_its_expert():
    found = usage(trace([[[0, 1], [0, 3], [0, 1]], [[2, 3], [2, 3], [2, 3]]], 4))
    assert found.tolist() == [[3, 2, 0, 1], [0, 0, 3, 3]]


def test_imbalance_goes_from_even_to_all_on_the_same():
    assert figures(even(8, 2, 3)).imbalance.tolist() == [1.0]
    assert figures(trace([[[1, 5]] * 6], 8)).imbalance.tolist() == [8 / 2]


def test_tokens_that_agree_touch_as_many_as_one():
    assert [d.measured for d in distinct(trace([[[1, 5]] * 9], 8))] == [2, 2, 2, 2]


def test_tokens_that_differ_touch_all_there_are():
    assert [d.measured for d in distinct(even(8, 2, 4))] == [2, 4, 8, 8, 8]


def test_the_mean_is_over_all_runs_of_tokens():
    assert distinct(trace([[[0, 1], [0, 1], [0, 1], [2, 3]]], 4))[1].measured == (2 + 4) / 2


def test_sizes_double_up_to_the_whole_trace():
    assert [d.tokens for d in distinct(even(8, 2, 4))] == [1, 2, 4, 8, 16]
    assert [d.tokens for d in distinct(trace([[[0, 1]] * 7], 8))] == [1, 2, 4]


def test_uniform_routing_meets_its_expectation():
    found = distinct(trace(random_ids(8, 512, 4, 32), 32))
    for one in found[:6]:
        assert one.measured == pytest.approx(one.uniform, rel=0.02)
    assert expected(32, 4, 1) == 4 and expected(32, 32, 5) == 32


@cache
def optimum(uses: tuple[int, ...], held: frozenset[int]) -> int:
    """Most hits of a cache that may exchange one expert for the used one, or not: all ways."""
    if not uses:
        return 0
    used, rest = uses[0], uses[1:]
    if used in held:
        return 1 + optimum(rest, held)
    ways = [held, *((held - {out}) | {used} for out in held)]
    return max(optimum(rest, way) for way in ways)


@pytest.mark.parametrize("seed", range(6))
def test_no_way_of_exchanging_finds_more_than_the_best(seed):
    experts, uses = 5, random_ids(1, 7, 2, 5, seed)
    rates = best(uses, experts)
    flat = tuple(uses.ravel().tolist())
    for size in range(1, experts + 1):
        starts = map(frozenset, combinations(range(experts), size))
        assert rates[size - 1] == pytest.approx(max(optimum(flat, s) for s in starts) / len(flat))


def test_every_layer_has_a_cache_of_its_own():
    ids = random_ids(3, 40, 2, 6)
    each = [best(layer[None], 6) for layer in ids]
    np.testing.assert_allclose(best(ids, 6), np.mean(each, axis=0))


def test_a_cache_of_all_experts_always_hits():
    found = curves(random_ids(2, 9, 3, 7), random_ids(2, 11, 3, 7, 1), 7)
    assert found.hottest[-1] == found.best[-1] == found.uniform[-1] == 1


def test_the_hottest_of_before_are_tried_on_after():
    before, after = [[[0, 1], [0, 2], [0, 1]]], [[[0, 3], [1, 3]]]
    found = curves(np.array(before, np.int32), np.array(after, np.int32), 4)
    assert found.hottest.tolist() == [1 / 4, 2 / 4, 2 / 4, 1]


def test_the_best_is_never_below_the_hottest_and_skew_helps_both():
    rng = np.random.default_rng(1)
    heat = np.arange(1, 17) ** -1.5
    ids = np.stack([rng.choice(16, 2, replace=False, p=heat / heat.sum()) for _ in range(400)])
    found = figures(trace([np.sort(ids, axis=1)], 16)).cache
    assert (found.best >= found.hottest).all()
    assert (found.hottest[:-1] > found.uniform[:-1] + 0.02).all()
