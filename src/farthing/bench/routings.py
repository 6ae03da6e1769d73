"""Where the tokens of a step go, drawn beforehand instead of left to random routers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError

Routes = NDArray[np.int32]
"""[layers with experts, T, k] ids of experts, ascending for each token."""


@dataclass(frozen=True, slots=True)
class Routing:
    name: str
    draw: Callable[[int], Routes]
    """The routes of so many tokens, others at every call."""


def zipf(layers: int, experts: int, top_k: int, exponent: float = 1.0) -> Routing:
    """Each layer's experts are liked by a Zipf law, in an order of its own; a token takes top_k
    without replacement (Gumbel-top-k)."""
    random = np.random.default_rng(0)
    orders = np.array([random.permutation(experts) for _ in range(layers)])
    liking = -exponent * np.log(orders + 1.0)

    def draw(tokens: int) -> Routes:
        noisy = liking[:, None, :] + random.gumbel(size=(layers, tokens, experts))
        best = np.argpartition(-noisy, top_k - 1, axis=-1)[..., :top_k]
        return np.sort(best, axis=-1).astype(np.int32)

    return Routing(f"Zipf {exponent:g}", draw)


def recorded(ids: Routes, layers: int, experts: int, top_k: int) -> Routing:
    """Tokens of a trace [L, T, k] at random, each with all of its layers.

    Raises InputError if the trace is of another shape; of a cut model, its first layers count.
    """
    if len(ids) < layers or ids.shape[2] != top_k or ids.max() >= experts:
        raise InputError(
            f"the trace has {len(ids)} layers, and tokens take {ids.shape[2]} experts up to number"
            f" {ids.max()}; this model has {layers} layers with {experts} experts, {top_k} a token"
        )
    random = np.random.default_rng(0)
    kept = ids[:layers]

    def draw(tokens: int) -> Routes:
        return np.ascontiguousarray(kept[:, random.integers(0, kept.shape[1], tokens)])

    return Routing("as recorded", draw)


def distinct(steps: Sequence[Routes]) -> NDArray[np.float64]:
    """[L] experts that a step's tokens go to together, the mean of steps."""
    counts = [[len(np.unique(layer)) for layer in ids] for ids in steps]
    return np.asarray(np.mean(counts, 0), np.float64)
