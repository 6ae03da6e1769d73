"""The 95 % interval of a mean over tokens, by bootstrap. Knows arrays only.

Neighbouring tokens depend on one another, so blocks of consecutive tokens are drawn, not tokens
(Carlstein 1986; Kuensch 1989): drawn one by one they would give intervals that are too narrow.

Shapes: N tokens, B blocks.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.formats.quality import Interval

BLOCK = 64
"""Tokens of a block, where there are enough of them."""
FEWEST = 8
"""Blocks that an interval is taken over; of a short text they are shorter."""
RESAMPLES = 2000
OUTSIDE = 0.05

Floats = NDArray[np.float64]


def starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    """[B] where each block begins, of sequences of these lengths that lie end to end.

    Blocks never cross from one sequence into the next; a sequence's last may be shorter. Raises
    InputError if there are too few tokens for FEWEST blocks.
    """
    total = sum(lengths)
    if total < FEWEST:
        raise InputError(f"{total} tokens are too few for an interval; give at least {FEWEST}")
    size = BLOCK
    while (made := _cut(lengths, size)).size < FEWEST:
        size //= 2
    return made


def interval(
    values: Floats, blocks: NDArray[np.int64], *, seed: int = 0, draws: int = RESAMPLES
) -> Interval:
    """The mean of values [N] and its interval, over `draws` of B blocks with a seed.

    A draw's mean is its sum over its number of tokens. Percentiles are taken a little further out
    than 2.5 and 97.5, as Student's t is wider than the normal, because B is small (Hesterberg 2015,
    "What teachers should know about the bootstrap": the expanded percentile interval).
    """
    sums = np.add.reduceat(values, blocks)
    sizes = np.diff(np.append(blocks, len(values)))
    count = len(blocks)
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for draw in range(draws):
        taken = rng.integers(0, count, count)
        means[draw] = sums[taken].sum() / sizes[taken].sum()
    tail = 100 * _tail(count)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(mean=float(values.mean()), low=float(low), high=float(high))


def exponential(of: Interval) -> Interval:
    """Perplexity from the mean surprise in nats: the interval's ends go with it."""
    mean, low, high = np.exp([of.mean, of.low, of.high]).tolist()
    return Interval(mean=mean, low=low, high=high)


def _cut(lengths: Sequence[int], size: int) -> NDArray[np.int64]:
    begins = np.cumsum([0, *lengths])[:-1]
    return np.concatenate(
        [np.arange(at, at + n, size) for at, n in zip(begins, lengths, strict=True)]
    ).astype(np.int64)


def _tail(count: int) -> float:
    """The share of draws to leave out at each end, for `count` blocks."""
    wide = sqrt(count / (count - 1)) * _student(count - 1)
    return NormalDist().cdf(-wide)


def _student(freedom: int) -> float:
    """The quantile of Student's t that leaves OUTSIDE / 2 above it (Abramowitz and Stegun 26.7.5);
    within 1 % from 5 degrees of freedom on."""
    z = NormalDist().inv_cdf(1 - OUTSIDE / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
