"""The share of a reference's task scores that a model keeps."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.evaluate.tasks.types import Score
from farthing.formats.quality import Interval

ABOVE_CHANCE = 0.3
"""Where the reference is no further above guessing than this, the share says little: left out."""
RESAMPLES = 2000

Floats = NDArray[np.float64]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    share: Interval | None
    """Mean over the tasks counted of ours / the reference's, and its 95 % interval by bootstrap,
    items drawn in pairs; above 1 if ours is better. None if no task counts."""
    counted: list[str]
    left_out: list[str]


def kept(ours: Sequence[Score], reference: Sequence[Score], *, seed: int = 0) -> Kept:
    """Of each task its first score counts. Raises InputError if the two were not asked the same."""
    pairs = [(_first(ours, theirs), theirs) for theirs in _firsts(reference)]
    clear = [(a, b) for a, b in pairs if b.share.mean - b.chance >= ABOVE_CHANCE]
    counted = [b.task for _, b in clear]
    return Kept(
        share=_share([(np.array(a.items), np.array(b.items)) for a, b in clear], seed),
        counted=counted,
        left_out=[b.task for _, b in pairs if b.task not in counted],
    )


def _firsts(scores: Sequence[Score]) -> list[Score]:
    """The first score of each task, in order."""
    return list({score.task: score for score in reversed(scores)}.values())[::-1]


def _first(ours: Sequence[Score], theirs: Score) -> Score:
    for score in ours:
        if (score.task, score.metric, score.sha256) == (theirs.task, theirs.metric, theirs.sha256):
            return score
    raise InputError(
        f"{theirs.task}: the reference was asked what the model was not; run both on the same task"
        " in the same way"
    )


def _share(pairs: Sequence[tuple[Floats, Floats]], seed: int) -> Interval | None:
    if not pairs:
        return None
    rng = np.random.default_rng(seed)
    draws = np.mean([_draws(ours, theirs, rng) for ours, theirs in pairs], axis=0)
    low, high = np.percentile(draws, [2.5, 97.5])
    mean = np.mean([ours.mean() / theirs.mean() for ours, theirs in pairs])
    return Interval(mean=float(mean), low=float(low), high=float(high))


def _draws(ours: Floats, theirs: Floats, rng: np.random.Generator) -> Floats:
    """[RESAMPLES] ratios of sums over items drawn with replacement."""
    taken = rng.integers(0, len(theirs), (RESAMPLES, len(theirs)))
    ratios: Floats = ours[taken].sum(1) / np.maximum(theirs[taken].sum(1), 1)
    return ratios
