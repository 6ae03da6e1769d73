import numpy as np
import pytest

from farthing.errors import InputError
from farthing.evaluate.divergence import CHUNK, divergence

RNG = np.random.default_rng(3)


def test_a_model_does_not_differ_from_itself() -> None:
    logits = RNG.normal(size=(CHUNK + 3, 50)).astype(np.float32)
    same = divergence(logits, logits.copy())
    assert (same.tokens, same.mean, same.largest, same.same_top) == (CHUNK + 3, 0, 0, 1)


def test_a_coin_against_a_loaded_one() -> None:
    """KL by hand: 1/2 log(1/2 / 3/4) + 1/2 log(1/2 / 1/4)."""
    fair, loaded = np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]])
    expected = 0.5 * np.log(2 / 3) + 0.5 * np.log(2)
    assert divergence(fair, loaded).mean == pytest.approx(expected)
    back = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert divergence(loaded, fair).mean == pytest.approx(back)


def test_what_softmax_forgets_makes_no_difference() -> None:
    """A constant added to a row leaves its distribution, even far from zero."""
    logits = RNG.normal(size=(5, 20))
    assert divergence(logits, logits + 1000).largest < 1e-12


def test_the_figures_are_over_all_tokens_whatever_the_chunk() -> None:
    """Every tenth row differs by a known amount; the first chunk is not the last."""
    rows = 10 * CHUNK
    a = np.tile(np.log([0.5, 0.3, 0.2]), (rows, 1))
    b = a.copy()
    b[::10] = np.log([0.3, 0.5, 0.2])
    one = 0.5 * np.log(0.5 / 0.3) + 0.3 * np.log(0.3 / 0.5)
    got = divergence(a, b)
    assert got.mean == pytest.approx(one / 10)
    assert got.median == 0
    assert got.p99 == pytest.approx(one) == got.largest
    assert got.same_top == pytest.approx(0.9)


def test_fp32_logits_are_summed_in_fp64() -> None:
    """A difference of 1e-4 in every logit gives a divergence near 5e-9, far below fp32's grain."""
    a = RNG.normal(size=(40, 5000)).astype(np.float32)
    b = a + RNG.normal(size=a.shape).astype(np.float32) * np.float32(1e-4)
    assert 2e-9 < divergence(a, b).mean < 1e-8


@pytest.mark.parametrize(("a", "b"), [((3, 4), (3, 5)), ((0, 4), (0, 4)), ((4,), (4,))])
def test_shapes_that_do_not_compare_are_refused(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected two arrays"):
        divergence(np.zeros(a), np.zeros(b))
