"""Which experts random routers prefer: none, by a Zipf law, or as a recorded trace did."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError

LEAST, MOST = 1e-3, 0.97
"""Of the tokens that an expert gets."""


@dataclass(frozen=True, slots=True)
class Preference:
    skew: float = 0.0
    """The exponent of the law; each layer ranks its experts in an order of its own."""
    counts: tuple[tuple[int, ...], ...] = ()
    """Or by layer with experts, how many tokens went to each of them."""

    def __post_init__(self) -> None:
        if self.skew and self.counts:
            raise InputError("experts are preferred by a Zipf law or as recorded, not both")
        if not 0 <= self.skew <= 2:
            raise InputError(f"a skew of {self.skew:g}; expected 0 (none) to 2")

    def logits(
        self, layer: int, experts: int, top_k: int, random: np.random.Generator
    ) -> NDArray[np.float64] | None:
        """[E] to add to logits that are normal with a variance of one; None prefers none.

        `layer` counts those with experts.
        """
        if not self.skew and not self.counts:
            return None
        weights = np.array((random.permutation(experts) + 1.0) ** -self.skew)
        if self.counts:
            weights = self._recorded(layer, experts)
        normal = NormalDist()
        return np.array([normal.inv_cdf(float(share)) for share in chances(weights, top_k)])

    def _recorded(self, layer: int, experts: int) -> NDArray[np.float64]:
        if layer >= len(self.counts) or len(self.counts[layer]) != experts:
            sizes = f"{len(self.counts)} layers of {len(self.counts[0])} experts"
            raise InputError(
                f"the trace is of {sizes}, and this shape's layer {layer} with experts has"
                f" {experts}; record one on a model of this shape"
            )
        return np.array(self.counts[layer], np.float64)


def chances(weights: Sequence[float] | NDArray[np.float64], top_k: int) -> NDArray[np.float64]:
    """[E] chance of each expert to be among a token's top_k, as the weights have it, but no more
    than MOST; they sum to top_k as well as that allows."""
    wanted = np.maximum(np.asarray(weights, np.float64), 1e-12)
    share = wanted / wanted.sum() * top_k
    for _ in range(50):
        share = np.clip(share, LEAST, MOST)
        free = (share > LEAST) & (share < MOST)
        if not free.any():
            break
        share[free] *= max(top_k - share[~free].sum(), LEAST) / share[free].sum()
    return np.asarray(np.clip(share, LEAST, MOST))
