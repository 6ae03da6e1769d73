"""The training comparison's figures: tokens a second over the peer's, and the share of the peak.

Knows no engine. Rates are tokens a second by the wall clock.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

OURS, OURS_ADAMW = "farthing", "farthing, adamw"
PEER, PEER_BF16 = "transformers", "transformers, weights in bf16"


@dataclass(slots=True)
class Taken:
    """One rate for each round of each side, and each round's peak of bf16 products."""

    rates: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    losses: dict[str, float] = field(default_factory=dict)
    """Of the last step; the peer's is a mean of its round."""
    peaks: list[float] = field(default_factory=list)
    """Operations a second."""

    def rate(self, side: str) -> float:
        return median(self.rates[side])

    @property
    def peak(self) -> float:
        """What the machine reached at its best: others on it make it less, never more."""
        return max(self.peaks)

    def share(self, side: str, flops: float) -> float:
        """Of the peak, with so many operations a token."""
        return self.rate(side) * flops / self.peak


def best(tried: list[dict[str, Any]]) -> dict[str, Any]:
    """The fastest of {"settings", "rate" or 0, "failed"?}; exits where all failed."""
    found = max(tried, key=lambda one: one["rate"])
    if not found["rate"]:
        raise SystemExit(f"the peer fails with all its settings: {tried}")
    return found


def shares(taken: Taken, flops: float) -> dict[str, float]:
    """The figures that stand first on the last line."""
    theirs, bf16 = taken.rate(PEER), taken.rate(PEER_BF16)
    found = {
        "train_over_transformers": taken.rate(OURS) / theirs,
        "train_over_transformers_adamw": taken.rate(OURS_ADAMW) / theirs,
        "train_over_transformers_bf16_weights": taken.rate(OURS) / bf16,
        "train_over_transformers_bf16_weights_adamw": taken.rate(OURS_ADAMW) / bf16,
        "share_of_bf16_peak": taken.share(OURS, flops),
        "share_of_bf16_peak_adamw": taken.share(OURS_ADAMW, flops),
        "share_of_bf16_peak_transformers": taken.share(PEER, flops),
    }
    return {name: round(value, 4) for name, value in found.items()}


def table(taken: Taken, flops: float) -> str:
    lines = [f"{'tokens/s':32}{'median':>10}{'worst':>10}{'best':>10}{'of peak':>10}"]
    for side, rates in taken.rates.items():
        spread = "".join(f"{rate:10,.0f}" for rate in (median(rates), min(rates), max(rates)))
        lines.append(f"{side:32}{spread}{taken.share(side, flops):10.1%}")
    lines.append(f"bf16 products of 2048 x 2048 at best: {taken.peak / 1e9:,.0f} GFLOPS")
    return "\n".join(lines)


def record(taken: Taken) -> dict[str, Any]:
    return {
        "tokens_a_second": {
            side: {"median": median(each), "rounds": [round(rate, 1) for rate in each]}
            for side, each in taken.rates.items()
        },
        "last_loss": taken.losses,
        "peak_gflops": [round(peak / 1e9, 1) for peak in taken.peaks],
    }
