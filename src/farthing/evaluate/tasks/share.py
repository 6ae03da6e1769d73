"""Shares of items done right: their intervals, and pass@k. Knows numbers only."""

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from farthing.evaluate.interval import interval
from farthing.formats.quality import Interval

Z = 1.959964
"""Standard deviations within which 95 % of a normal lie."""


def share(items: Sequence[float]) -> Interval:
    """The mean of at least one item from 0 to 1, and its 95 % interval.

    Of items that are right or wrong, Wilson's (1927), which is no point where all are right; of
    others, by bootstrap over items.
    """
    if set(items) <= {0, 1}:
        return wilson(int(sum(items)), len(items))
    if len(items) < 2:
        return Interval(mean=items[0], low=0.0, high=1.0)
    values = np.array(items, np.float64)
    found = interval(values, np.arange(len(values)))
    return Interval(mean=found.mean, low=max(found.low, 0.0), high=min(found.high, 1.0))


def wilson(right: int, count: int) -> Interval:
    mean = right / count
    spread = Z * sqrt(mean * (1 - mean) / count + (Z / (2 * count)) ** 2)
    middle, scale = mean + Z * Z / (2 * count), 1 + Z * Z / count
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return Interval(mean=mean, low=min(max(low, 0.0), mean), high=max(min(high, 1.0), mean))


def pass_at(k: int, right: int, count: int) -> float:
    """The chance that one of k tries passes, of which `right` of `count` did: unbiased.

    1 - C(count - right, k) / C(count, k), as a product (Chen et al. 2021, "Evaluating large
    language models trained on code", section 2.1).
    """
    assert 1 <= k <= count, "no estimate for more tries than there were"
    if count - right < k:
        return 1.0
    return 1.0 - prod(1 - k / i for i in range(count - right + 1, count + 1))
