"""The rows that mixtures of experts are compared in, and what came of them beside each peer.

Knows no engine.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rows import Row, Taken, ratio

DEEP = 4096


def decode(batch: int, tokens: int, depth: int = 0) -> Row:
    name = f"moe_decode_b{batch}" + (f"_d{depth}" if depth else "")
    arguments = {"batch": batch, "depth": depth, "tokens": tokens}
    return Row(name, f"decode, batch {batch}, depth {depth}", "decode", arguments)


ROWS = (
    decode(1, 48),
    decode(8, 16),
    decode(32, 8),
    Row("moe_prefill_512", "prefill 512", "prefill", {"tokens": 512}),
)


def rows_for(model_type: str, context: int) -> list[Row]:
    """For models that fit twice as they are also decode at depth, where the cache shows."""
    if model_type == "qwen3_moe":
        return list(ROWS)
    return [*ROWS, decode(1, 32, min(DEEP, context - 64))]


@dataclass
class Results:
    """By row's name: what was taken beside each peer."""

    rows: list[Row]
    taken: defaultdict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    about: dict[str, Any] = field(default_factory=dict)

    def best(self, row: Row) -> Taken:
        """Beside the peer that was fastest."""
        return max(self.taken[row.name], key=lambda one: median(one.rates[one.best_peer()]))

    def record(self) -> dict[str, Any]:
        return {
            **{row.name: ratio(self.best(row)) for row in self.rows},
            "rows": {
                row.name: {
                    "best_peer": self.best(row).best_peer(),
                    "beside": [one.record() for one in self.taken[row.name]],
                }
                for row in self.rows
            },
            "sides": self.about,
        }

    def table(self) -> str:
        lines = []
        for row in self.rows:
            for one in self.taken[row.name]:
                ours, theirs = median(one.rates[one.ours]), median(one.rates[one.best_peer()])
                mark = " <- the best peer" if one is self.best(row) else ""
                lines.append(
                    f"{row.says:26} farthing {ours:8,.1f}   {one.best_peer():24} {theirs:8,.1f}"
                    f"   {ratio(one):6.2f}{mark}"
                )
        return "\n".join(lines)
