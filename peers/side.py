"""What every side of the comparison shares: requests in as JSON lines, answers out the same way.

A side that is not asked sits blocked in a read: it uses no CPU while another one is measured.
Knows no engine.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

Action = Callable[..., dict[str, Any]]
Variant = dict[str, Any]
LONG = 2.0


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

    def __init__(self, *, search: bool) -> None:
        """Without a search, the first variant of each row stands."""
        self.search = search
        self.chosen: dict[Hashable, Variant] = {}

    def run(
        self, row: Hashable, variants: Sequence[Variant], measure: Callable[..., float]
    ) -> dict[str, Any]:
        """`measure(**variant)` gives tokens/s."""
        if row not in self.chosen:
            self.chosen[row] = variants[0]
            if self.search and len(variants) > 1:
                self.chosen[row] = max(variants, key=lambda v: self._warm(measure, v))
        settings = self.chosen[row]
        return {"rate": measure(**settings), "settings": settings}

    @staticmethod
    def _warm(measure: Callable[..., float], variant: Variant) -> float:
        """A run to warm up and one that counts; a long run needs no other before it."""
        start = time.perf_counter()
        first = measure(**variant)
        return first if time.perf_counter() - start > LONG else measure(**variant)


def random_tokens(count: int, vocabulary: int, seed: int) -> list[int]:
    """Reproducible ids, above the control tokens at the start of the vocabulary."""
    value, out = seed * 2654435761 + 12345, []
    for _ in range(count):
        value = (value * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        out.append(1000 + (value >> 33) % (vocabulary - 1000))
    return out


def searching() -> bool:
    """Whether this side was asked to look for its best settings."""
    return sys.argv[3] == "search"
