"""What every side of the comparison shares: requests in as JSON lines, answers out the same way.

A side that is not asked sits blocked in a read: it uses no CPU while another one is measured.
Knows no engine.
"""

import json
import os
import sys
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

Action = Callable[..., dict[str, Any]]
Variant = dict[str, Any]


def serve(actions: dict[str, Action]) -> None:
    """Answers until stdin ends. `{"do": name, **arguments}` -> whatever the action returns."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Libraries print to stdout; that must not land among the answers.
    for line in sys.stdin:
        ask = json.loads(line)
        answer = actions[ask.pop("do")](**ask)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Best:
    """Runs a row with the settings that were fastest for it when they were first tried."""

    def __init__(self) -> None:
        self.chosen: dict[Hashable, Variant] = {}

    def run(
        self, row: Hashable, variants: Iterable[Variant], measure: Callable[..., float]
    ) -> dict[str, Any]:
        """`measure(**variant)` gives tokens/s. The first time, every variant runs twice (the first
        run warms it up) and the fastest is kept."""
        if row not in self.chosen:
            tried = [(self._warm(measure, v), i, v) for i, v in enumerate(variants)]
            self.chosen[row] = max(tried)[2]
        settings = self.chosen[row]
        return {"rate": measure(**settings), "settings": settings}

    @staticmethod
    def _warm(measure: Callable[..., float], variant: Variant) -> float:
        measure(**variant)
        return measure(**variant)


def private_bytes(process: str = "self") -> int:
    """Memory that is this process's own (clean file pages are not)."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
    kilobytes = (fields[name].split()[0] for name in ("Private_Clean", "Private_Dirty"))
    return sum(int(k) for k in kilobytes) * 1024


def random_tokens(count: int, vocabulary: int, seed: int) -> list[int]:
    """Reproducible ids, above the control tokens at the start of the vocabulary."""
    value, out = seed * 2654435761 + 12345, []
    for _ in range(count):
        value = (value * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        out.append(1000 + (value >> 33) % (vocabulary - 1000))
    return out
