"""The sampler, on distributions written by hand and on draws counted."""

from typing import Any

import numpy as np
import pytest

from farthing.engine.types import RowSampling
from farthing.ops.sampling import Logits, adjust, kept, log_softmax, mix, noise, sample

DEFAULTS: dict[str, Any] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition": 1.0,
    "presence": 0.0,
    "frequency": 0.0,
    "seed": 0,
    "choice": 0,
    "position": 0,
    "logprobs": -1,
}
KINDS = {
    "top_k": np.int32,
    "seed": np.uint64,
    "choice": np.uint32,
    "position": np.int32,
    "logprobs": np.int32,
}


def rows(*each: dict[str, Any], adjust: dict[int, tuple[float, int, int]] | None = None) -> Any:
    """RowSampling from each row's settings; `adjust` is row 0's id -> (bias, count, seen)."""
    fields = {
        name: np.array([row.get(name, default) for row in each], KINDS.get(name, np.float32))
        for name, default in DEFAULTS.items()
    }
    adjust = adjust or {}
    bias, counts, seen = zip(*adjust.values(), strict=True) if adjust else ((), (), ())
    return RowSampling(
        **fields,
        first=np.array([0] + [len(adjust)] * len(each), np.int32),
        ids=np.array(list(adjust), np.int32),
        bias=np.array(bias, np.float32),
        counts=np.array(counts, np.int32),
        seen=np.array(seen, np.uint8),
    )


def of(*probabilities: float) -> Logits:
    return np.log(np.array(probabilities)).astype(np.float32)


def test_temperature_zero_takes_the_likeliest_and_the_lowest_of_equals() -> None:
    logits = np.array([[1, 3, 2], [5, 2, 5], [0, 0, 0]], np.float32)
    assert sample(logits, rows(*[{"temperature": 0.0}] * 3)).ids.tolist() == [1, 0, 0]


def test_penalties_follow_bias_and_each_other_in_order() -> None:
    logits = np.array([2.0, -2.0, 2.0, 2.0, 1.0], np.float32)
    settings = rows(
        {"repetition": 2.0, "presence": 0.25, "frequency": 0.5},
        adjust={0: (0.0, 0, 1), 1: (0.0, 3, 1), 2: (-3.0, 1, 1), 4: (10.0, 0, 0)},
    )
    # id 0 is in the prompt only; 1 three times in the answer; 2 turns negative by its bias before
    # repetition; 3 is not listed; 4 has a bias alone
    expected = [1.0, -4.0 - 0.25 - 1.5, -2.0 - 0.25 - 0.5, 2.0, 11.0]
    np.testing.assert_array_equal(adjust(logits, settings, 0), np.array(expected, np.float32))


def test_only_the_first_rows_entries_touch_the_first_row() -> None:
    logits = np.zeros((2, 4), np.float32)
    settings = rows({"temperature": 0.0}, {"temperature": 0.0}, adjust={2: (1.0, 0, 0)})
    assert sample(logits, settings).ids.tolist() == [2, 0]
    settings.first = np.array([0, 0, 1], np.int32)
    assert sample(logits, settings).ids.tolist() == [0, 2]


def test_logprobs_are_after_penalties_and_before_temperature() -> None:
    logits = of(0.5, 0.25, 0.25)[None]
    hot = rows({"temperature": 0.0, "logprobs": 2}, adjust={0: (float(np.log(0.5)), 0, 0)})
    got = sample(logits, hot)
    assert got.ids.tolist() == [0]
    assert np.exp(got.logprobs) == pytest.approx([1 / 3])
    assert got.top_ids.tolist() == [[0, 1]]
    assert np.exp(got.top_logprobs) == pytest.approx(np.array([[1 / 3, 1 / 3]]))


def test_no_row_asking_for_top_logprobs_gets_none() -> None:
    got = sample(of(0.5, 0.5)[None], rows({"logprobs": 0}))
    assert got.top_ids.shape == got.top_logprobs.shape == (1, 0)


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p", "expected"),
    [
        (0, 1.0, 0.0, [0, 1, 2, 3, 4]),
        (1, 1.0, 0.0, [1]),
        (2, 1.0, 0.0, [0, 1]),  # 0 and 2 are equal: the lower id stays
        (99, 1.0, 0.0, [0, 1, 2, 3, 4]),
        (0, 0.01, 0.0, [1]),
        (0, 0.39, 0.0, [1]),
        (0, 0.41, 0.0, [0, 1]),
        (0, 0.89, 0.0, [0, 1, 2, 3]),
        (3, 0.6, 0.0, [0, 1]),  # of 0.4 0.2 0.2, renormalised: 0.5 0.25 0.25
        (0, 1.0, 0.49, [0, 1, 2]),
        (0, 1.0, 0.3, [0, 1, 2]),
        (0, 1.0, 0.2, [0, 1, 2, 3, 4]),
        (0, 1.0, 1.0, [1]),
        (4, 0.7, 0.9, [1]),
    ],
)
def test_which_tokens_stay(top_k: int, top_p: float, min_p: float, expected: list[int]) -> None:
    logits = of(0.2, 0.4, 0.2, 0.1, 0.1)
    got = kept(logits, np.float32(1), top_k, top_p, min_p)
    assert np.flatnonzero(got).tolist() == expected


def test_filters_read_the_distribution_after_temperature() -> None:
    """At temperature 1/2 probabilities are squared: 0.64 0.16 0.16 0.04 over their sum."""
    logits = of(0.4, 0.2, 0.2, 0.1, 0.1)
    assert kept(logits, np.float32(0.5), 0, 0.6, 0.0).sum() == 1
    assert kept(logits, np.float32(1.0), 0, 0.6, 0.0).sum() == 2


def test_splitmix64_gives_its_published_numbers() -> None:
    """The generator from seed 1234567: each state is the last plus the golden step."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + i * golden) % 2**64 for i in range(3)], np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert mix(states).tolist() == expected


def test_noise_is_the_formula_in_whole_python_numbers() -> None:
    def slow(seed: int, choice: int, position: int, token: int) -> np.float32:
        def step(x: int) -> int:
            z = (x + 0x9E3779B97F4A7C15) % 2**64
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
            return z ^ (z >> 31)

        key = step(seed ^ (choice * 0x9E3779B97F4A7C15) % 2**64)
        u = ((step(key ^ (position << 32 | token)) >> 40) + 0.5) / 2**24
        return np.float32(-np.log(-np.log(u)))

    for seed, choice, position in ((0, 0, 0), (2**64 - 1, 3, 2**31 - 1), (7, 2**32 - 1, 12)):
        expected = [slow(seed, choice, position, token) for token in range(20)]
        np.testing.assert_array_equal(noise(seed, choice, position, 20), expected)


@pytest.mark.parametrize("change", [{"seed": 1}, {"choice": 1}, {"position": 1}])
def test_each_key_changes_the_noise(change: dict[str, int]) -> None:
    plain = {"seed": 0, "choice": 0, "position": 0, "vocabulary": 100}
    assert (noise(**plain) != noise(**(plain | change))).all()


def test_a_draw_does_not_depend_on_its_neighbours() -> None:
    logits = np.random.default_rng(0).normal(size=(8, 50)).astype(np.float32)
    each = [{"seed": 9, "position": p, "temperature": 0.8, "top_p": 0.9} for p in range(8)]
    together = sample(logits, rows(*each)).ids
    alone = [sample(logits[i : i + 1], rows(each[i])).ids[0] for i in range(8)]
    assert together.tolist() == alone


CHI_SQUARE_999 = {1: 10.83, 2: 13.82, 6: 22.46, 7: 24.32}
"""The 0.999 quantile by degrees of freedom: seeds are fixed, so a pass is for good."""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02]),
        ({"temperature": 0.5}, np.square([0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])),
        ({"top_k": 3}, [0.3, 0.2, 0.15]),
        ({"top_p": 0.49}, [0.3, 0.2]),
    ],
)
@pytest.mark.parametrize("varies", ["seed", "choice", "position"])
def test_draws_follow_the_distribution(settings: Any, expected: Any, varies: str) -> None:
    logits = of(0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02)
    draws = 4000
    each = [settings | {"seed": 5, varies: i} for i in range(draws)]
    counts = np.bincount(sample(np.tile(logits, (draws, 1)), rows(*each)).ids, minlength=8)
    wanted = np.array(expected) / np.sum(expected) * draws
    assert counts[len(wanted) :].sum() == 0
    chi_square = ((counts[: len(wanted)] - wanted) ** 2 / wanted).sum()
    assert chi_square < CHI_SQUARE_999[len(wanted) - 1]


def test_a_forbidden_token_is_never_drawn() -> None:
    logits = of(0.01, 0.98, 0.01)[None]
    draws = [sample(logits, rows({"seed": i}, adjust={1: (-np.inf, 0, 0)})) for i in range(200)]
    assert {int(draw.ids[0]) for draw in draws} == {0, 2}


def test_log_softmax_sums_to_one_far_from_zero() -> None:
    assert np.exp(log_softmax(np.array([1e4, 1e4 + 1, -1e4], np.float32))).sum() == pytest.approx(1)
