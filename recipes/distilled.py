"""The table of recipes/distil.sh: right answers, and what one costs, before and after.

Scores are of `farthing eval --tasks`, costs of the server's bills (the cards of `data sample`).
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

GAINED, KEPT, COST = 0.30, 0.90, 0.10
"""What is wanted: points above chance, share of the teacher's score, share of its cost."""


@dataclass(frozen=True)
class Model:
    name: str
    right: float
    low: float
    high: float
    chance: float
    cost: float | None
    """Nano-dollars an answer; None where no server was asked."""


def read(work: Path, name: str) -> Model:
    (task,) = json.loads((work / f"{name}.json").read_text())["tasks"]
    share, bill = task["share"], work / f"bill-{name}" / "card.json"
    cost = None
    if bill.exists():
        paid = json.loads(bill.read_text())["cost"]
        cost = paid["nanodollars"] / paid["requests"]
    return Model(name, share["mean"], share["low"], share["high"], task["chance"], cost)


def main(work: Path, base: str, teacher: str, student: str) -> None:
    before, large, small = (read(work, name) for name in (base, teacher, student))
    print("| model | right | 95 % | $ for a million answers |\n|---|--:|---|--:|")
    for one in (before, large, small):
        cost = "" if one.cost is None else f"{one.cost / 1e3:,.2f}"
        print(f"| {one.name} | {one.right:.1%} | {one.low:.1%} to {one.high:.1%} | {cost} |")
    assert large.cost is not None and small.cost is not None
    gained, kept = large.right - large.chance, small.right / max(large.right, 1e-9)
    paid = small.cost / large.cost
    print(f"\nteacher above chance: {gained:.1%} ({verdict(gained >= GAINED)})")
    print(f"student, of the teacher's score: {kept:.1%} ({verdict(kept >= KEPT)})")
    print(f"student, of the teacher's cost: {paid:.1%} ({verdict(paid <= COST)})")


def verdict(good: bool) -> str:
    return "as wanted" if good else "short of what is wanted"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
