"""The sides of the comparison as processes: asked one at a time, asleep in between."""

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
PATIENCE = 600.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Recipe:
    """`python` runs `script` with a model and a number of threads."""

    name: str
    python: Path
    script: str
    model: Path
    ours: bool = False
    serves: bool = False
    """Takes part in the load of many requests."""
    options: tuple[str, ...] = ()
    """Further words for the script."""


class Side:
    def __init__(
        self,
        recipe: Recipe,
        threads: int,
        logs: Path,
        *,
        search: bool,
        patience: float = PATIENCE,
    ) -> None:
        """Whoever does not answer within `patience` seconds has failed."""
        self.recipe, self.name, self.patience = recipe, recipe.name, patience
        self.log = logs / f"{recipe.name.replace(' ', '-')}.log"
        how = "search" if search else "first"
        words = [
            recipe.python,
            HERE / recipe.script,
            recipe.model,
            str(threads),
            how,
            *recipe.options,
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it died, and what it said last is on its way out
            self.process.stdin.close()
        self.process.wait(PATIENCE)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):  # a dead side is told of below
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
        # One line answers one line, so that nothing lies unseen in the reader's buffer here.
        ready, _, _ = select.select([self.process.stdout], [], [], self.patience)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            said = self.log.read_text()[-2000:]
            sys.exit(f"{self.name} did not answer {do} {arguments}; its last words:\n{said}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def cpu_seconds(self) -> float:
        """Of all its threads and, if it has any, its own processes, since the start."""
        return sum(_cpu(process) for process in _family(self.process.pid))


def _family(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    own = [int(word) for task in tasks for word in task.read_text().split()]
    return [process, *(one for child in own for one in _family(child))]


def _cpu(process: int) -> float:
    # The name in brackets may hold spaces; utime and stime are the 14th and 15th field.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
