"""The headline's figures: what an answer costs beside the peer's, and how much quality is kept.

Knows no engine. Seconds are of one request, by the wall clock.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

OURS, PEER = "farthing", "transformers"
CLEAR = 0.30
"""How far above chance the reference must be for a task to count, as a share of right answers."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds a request, one for each round, by (side, way)."""

    taken: defaultdict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def seconds(self, side: str, way: str) -> float:
        return median(self.taken[side, way])

    def record(self) -> dict[str, dict[str, float]]:
        return {
            f"{side}, {way}": {"median": median(each), "best": min(each), "worst": max(each)}
            for (side, way), each in self.taken.items()
        }


def cost_shares(times: Times) -> dict[str, float]:
    """Our cost of a request over theirs.

    An hour of the machine costs the same whoever uses it, so that the price falls out and what is
    left is time. `single`: a server answers many requests together, and its users pay that, while
    they run one at a time; `batched`: both together; `alone`: both one at a time.
    """
    ours = times.seconds(OURS, "together")
    return {
        "cost_share_single": round(ours / times.seconds(PEER, "alone"), 4),
        "cost_share_batched": round(ours / times.seconds(PEER, "together"), 4),
        "cost_share_alone": round(times.seconds(OURS, "alone") / times.seconds(PEER, "alone"), 4),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskShare:
    """Shares of right answers; `chance` is what guessing gets."""

    task: str
    chance: float
    reference: float
    peer: float
    ours: float

    @property
    def counts(self) -> bool:
        return self.reference - self.chance >= CLEAR

    @property
    def kept(self) -> float:
        return self.ours / self.reference

    def record(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "chance": round(self.chance, 4),
            "reference": round(self.reference, 4),
            "transformers_bf16": round(self.peer, 4),
            "farthing": round(self.ours, 4),
            "counts": self.counts,
            "kept": round(self.kept, 4) if self.counts else None,
        }


def task_share(tasks: list[TaskShare]) -> float | None:
    """The mean of what is kept, over the tasks that count; None if none does."""
    kept = [one.kept for one in tasks if one.counts]
    return sum(kept) / len(kept) if kept else None
