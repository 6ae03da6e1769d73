"""Intervals of means over tokens that depend on their neighbours."""

import numpy as np
import pytest

from farthing.errors import InputError
from farthing.evaluate.interval import BLOCK, FEWEST, exponential, interval, starts


def chains(rng: np.random.Generator, runs: int, tokens: int, memory: float) -> np.ndarray:
    """[runs, tokens]: each remembers the one before; mean exp(1/2), skewed as divergences are."""
    out = np.empty((runs, tokens))
    out[:, 0] = rng.standard_normal(runs)
    fresh = np.sqrt(1 - memory**2)
    for at in range(1, tokens):
        out[:, at] = memory * out[:, at - 1] + fresh * rng.standard_normal(runs)
    return np.exp(out)


def rate(tokens: int, memory: float, blocks: np.ndarray, runs: int = 300) -> float:
    """How often an interval of such values holds their true mean."""
    values = chains(np.random.default_rng(1), runs, tokens, memory)
    found = [interval(one, blocks, draws=300) for one in values]
    return float(np.mean([one.low < np.exp(0.5) < one.high for one in found]))


@pytest.mark.parametrize(("tokens", "memory"), [(4096, 0.8), (4096, 0.0), (512, 0.5)])
def test_the_truth_lies_inside_at_about_its_rate(tokens: int, memory: float) -> None:
    assert 0.90 < rate(tokens, memory, starts([tokens])) < 0.98


def test_tokens_one_by_one_would_give_intervals_far_too_narrow() -> None:
    """Why blocks are drawn."""
    assert rate(1024, 0.8, np.arange(1024), runs=100) < 0.7


def test_independent_normals_have_the_interval_of_the_books() -> None:
    values = np.random.default_rng(3).standard_normal(64 * 64)
    found = interval(values, starts([len(values)]))
    expected = 2 * 1.96 / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(expected, rel=0.2)
    assert found.mean == values.mean()


def test_a_seed_gives_the_same_interval_and_another_one_nearly() -> None:
    values = np.random.default_rng(4).standard_normal(1024)
    blocks = starts([1024])
    assert interval(values, blocks, seed=1) == interval(values, blocks, seed=1)
    other = interval(values, blocks, seed=2)
    assert other != interval(values, blocks, seed=1)
    assert other.low == pytest.approx(interval(values, blocks, seed=1).low, abs=0.02)


def test_of_equal_values_nothing_is_uncertain() -> None:
    found = interval(np.zeros(600), starts([300, 300]))
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_blocks_stay_within_their_sequence() -> None:
    assert starts([512] * 2).tolist() == list(range(0, 1024, BLOCK))
    assert starts([100] * 8).tolist() == [at for i in range(8) for at in (100 * i, 100 * i + 64)]


def test_a_short_text_has_shorter_blocks() -> None:
    assert starts([64]).tolist() == list(range(0, 64, 8))
    assert starts([FEWEST]).tolist() == list(range(FEWEST))


def test_one_token_has_no_interval() -> None:
    with pytest.raises(InputError, match="1 tokens are too few"):
        starts([1])


def test_perplexity_goes_with_the_surprise() -> None:
    found = interval(np.log(np.linspace(2, 8, 512)), starts([512]))
    assert exponential(found).mean == pytest.approx(np.exp(found.mean))
    assert exponential(found).low < exponential(found).mean < exponential(found).high
