"""A training run on the terminal: its live line, what stops it, and its report."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live as Screen
from rich.text import Text

from farthing.cli import torch_needed
from farthing.config import settings
from farthing.errors import FarthingError
from farthing.meter.settings import machine_price

EVERY = 30.0
"""Seconds between lines where no terminal shows one that changes."""


def job(
    recipe: Path,
    output: Path,
    *,
    resume: bool,
    start: Path | None,
    threads: int,
    as_json: bool,
) -> int:
    """Returns the exit code: 0 at the end, 128 and the signal's number if one stopped it."""
    torch_needed.check()
    # torch is first imported here
    from farthing.learn.distributed import machines
    from farthing.learn.live import Live

    hour = machine_price(settings(), os.environ).hour_nanodollars * machines()
    with chosen()(recipe, output, resume=resume, start=start, threads=threads) as training:
        if training is None:
            return 0
        live = Live(training.facts, hour)
        with stopped() as by, shown(live, as_json=as_json) as screen:
            screen.note(opening(training.facts, training.run.done))
            for note in training.notes:
                screen.note(note)
            done = training.go(lambda: bool(by), screen.told, screen.note)
        at = f"step {training.run.done} of {training.recipe.steps}"
    if not done:
        print(
            f"farthing: stopped at {at}, saved in {output}; --resume goes on with it",
            file=sys.stderr,
        )
        return 128 + by[0]
    print(f"farthing: done; {write_report(output)}", file=sys.stderr)
    return 0


def write_report(run: Path) -> str:
    """The weights are safe by now: a page that can't be drawn is said, and is no failure."""
    from farthing.cli import learn_pages
    from farthing.learn.report import History

    path = run / "report.html"
    try:
        learn_pages.write(path, History.read(run))
    except FarthingError as error:
        return f"no report: {error}"
    return f"the curves are in {path}"


def chosen() -> Any:
    """Who opens a run: this process alone, or all those that torchrun started."""
    from farthing.learn import distributed

    if distributed.asked():
        from farthing.learn.lockstep import led

        return led
    from farthing.learn.training import opened

    return opened


def opening(facts: dict[str, Any], done: int) -> str:
    from farthing.learn.live import counted

    threads = counted(facts["threads"], "thread")
    begins = f"goes on at step {done}" if done else "begins"
    return (
        f"{facts['name']} {begins}: {facts['parameters'] / 1e6:.2f} M parameters,"
        f" {facts['active'] / 1e6:.2f} M active, {facts['flops_a_token'] / 1e6:.1f} MFLOP a token;"
        f" {facts['peak'] / 1e9:.0f} GFLOPS in bf16 products on {threads}"
    )


@contextmanager
def stopped() -> Iterator[list[int]]:
    """A list that the first SIGINT or SIGTERM is put into; a second SIGINT ends at once."""
    by: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if by and number == signal.SIGINT:
            raise KeyboardInterrupt
        by.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield by
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Lines:
    """One line in a while: for a file, or another program."""

    def __init__(self, live: Any, *, as_json: bool) -> None:
        self.live, self.as_json, self.at = live, as_json, -EVERY

    def told(self, line: dict[str, Any]) -> None:
        self.live.told(line)
        if self.as_json:
            print(json.dumps(line), flush=True)
        elif monotonic() - self.at >= EVERY or "held_out" in line:
            self.at = monotonic()
            self.note(self.live.text())

    def note(self, words: str) -> None:
        print(words, file=sys.stderr, flush=True)


class Changing(Lines):
    """One line that changes, on a terminal."""

    screen: Screen

    def told(self, line: dict[str, Any]) -> None:
        self.live.told(line)
        self.screen.update(Text(self.live.text()))

    def note(self, words: str) -> None:
        self.screen.console.print(words, highlight=False, markup=False)


@contextmanager
def shown(live: Any, *, as_json: bool) -> Iterator[Lines]:
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield Lines(live, as_json=as_json)
        return
    changing = Changing(live, as_json=False)
    with Screen(console=console, refresh_per_second=4) as changing.screen:
        yield changing
