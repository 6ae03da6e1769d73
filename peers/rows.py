"""What is compared: every row of every side in turn, medians, ours over the best peer's.

Knows no engine: a side is something that can be asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

HOPELESS = 0.5
"""A peer below this share of the row's best peer is not run again: its figure can't matter."""


class Asked(Protocol):
    name: str

    @property
    def recipe(self) -> Any: ...

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]: ...

    def cpu_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    says: str
    do: str
    arguments: dict[str, int]
    only_servers: bool = False


def _decode(batch: int, depth: int, tokens: int) -> dict[str, int]:
    return {"batch": batch, "depth": depth, "tokens": tokens}


ROWS = (
    Row("decode_b1", "decode, one stream, depth 0", "decode", _decode(1, 0, 128)),
    Row("decode_b1_d4096", "decode, one stream, depth 4096", "decode", _decode(1, 4096, 48)),
    Row("decode_b32", "decode, batch 32, depth 128 to 256", "decode", _decode(32, 128, 128)),
    Row("prefill_512", "prefill 512", "prefill", {"tokens": 512}),
    Row("prefill_2048", "prefill 2048", "prefill", {"tokens": 2048}),
    Row(
        "served_32",
        "32 streams, 126 in, 128 out: ours over HTTP, theirs in process",
        "served",
        {"requests": 32, "prompt": 126, "tokens": 128},
        only_servers=True,
    ),
)


@dataclass
class Taken:
    row: Row
    ours: str
    rates: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting_cpu_seconds: float = 0.0

    def best_peer(self) -> str:
        return max((n for n in self.rates if n != self.ours), key=lambda n: median(self.rates[n]))

    def worth(self, name: str) -> bool:
        """Whether to run a side again."""
        if name == self.ours or name not in self.rates:
            return True
        return median(self.rates[name]) >= HOPELESS * median(self.rates[self.best_peer()])

    def record(self) -> dict[str, Any]:
        sides = {
            name: {
                "median": median(rates),
                "best": max(rates),
                "worst": min(rates),
                "runs": len(rates),
                "settings": self.settings[name],
            }
            for name, rates in self.rates.items()
        }
        return {"says": self.row.says, "best_peer": self.best_peer(), "sides": sides}


def ratio(taken: Taken) -> float:
    """Ours over the best peer's, medians; above 1 is faster."""
    peer = median(taken.rates[taken.best_peer()])
    return round(median(taken.rates[taken.ours]) / peer, 3)


def measure(
    sides: Sequence[Asked],
    rows: Sequence[Row],
    rounds: int,
    seen: Callable[[Row, Any, float], None],
) -> list[Taken]:
    """The first turn warms up and lets each side choose its settings; it does not count, but for a
    peer so slow that it is not run again."""
    (mine,) = (side.name for side in sides if side.recipe.ours)
    taken = [Taken(row, mine) for row in rows]
    first = [Taken(row, mine) for row in rows]
    for turn in range(rounds + 1):
        for one, warm in zip(taken, first, strict=True):
            for side in sides:
                if one.row.only_servers and not side.recipe.serves:
                    continue
                if warm.worth(side.name):
                    _ask(side, sides, one if turn else warm, turn, seen)
    for one, warm in zip(taken, first, strict=True):
        for name in warm.rates.keys() - one.rates.keys():
            one.rates[name], one.settings[name] = warm.rates[name], warm.settings[name]
        one.waiting_cpu_seconds += warm.waiting_cpu_seconds
    return taken


def _ask(
    side: Asked,
    sides: Sequence[Asked],
    taken: Taken,
    turn: int,
    seen: Callable[[Row, Any, float], None],
) -> None:
    others = [other for other in sides if other is not side]
    before = sum(other.cpu_seconds() for other in others)
    arguments = taken.row.arguments | ({} if taken.row.do == "served" else {"seed": turn})
    answer = side.ask(taken.row.do, **arguments)
    taken.waiting_cpu_seconds += sum(other.cpu_seconds() for other in others) - before
    taken.rates.setdefault(side.name, []).append(answer["rate"])
    taken.settings[side.name] = answer["settings"]
    seen(taken.row, side, answer["rate"])


def table(taken: Sequence[Taken]) -> str:
    """Medians of every side, the ratio to the best peer."""
    names = list(dict.fromkeys(name for one in taken for name in one.rates))
    lines = [["tokens/s, median", *names, "ours / best peer"]]
    for one in taken:
        cells = [f"{median(one.rates[n]):,.0f}" if n in one.rates else "" for n in names]
        lines.append([one.row.says, *cells, f"{ratio(one):.2f} ({one.best_peer()})"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
