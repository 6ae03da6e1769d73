"""How sampling goes: a bar where a person waits, a line a minute where nobody does."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farthing.learn.sample import State
    from farthing.learn.sample_job import Job

LINE_SECONDS = 60.0


class Shown:
    def __init__(self, job: "Job") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.job = job
        console = Console(stderr=True)
        self.live = console.is_terminal
        columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
        self.progress = Progress(*columns, console=console, disable=not self.live)
        self.task = self.progress.add_task("asking", total=None)
        self._line = LINE_SECONDS

    def __enter__(self) -> "Shown":
        self.progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def say(self, words: str) -> None:
        if self.live:
            self.progress.console.print(words, highlight=False, markup=False)
        else:
            print(words, file=sys.stderr, flush=True)

    def watch(self, state: "State") -> None:
        line, done, total = told(self.job, state)
        self.progress.update(self.task, completed=done, total=total, description=line)
        if not self.live and state.seconds > self._line:
            self._line = state.seconds + LINE_SECONDS
            print(line, file=sys.stderr, flush=True)


def told(job: "Job", state: "State") -> tuple[str, float, float]:
    """The live line, and how far the work is: by the end that is nearest."""
    from farthing.meter.rate import dollars

    totals = state.totals
    ends = [(totals.documents, job.samples, state.documents_before)]
    if job.tokens:
        ends.append((totals.completion_tokens, job.tokens, state.tokens_before))
    if job.seconds:
        ends.append((int(state.seconds), int(job.seconds), 0))
    done, total, before = max(ends, key=lambda end: end[0] / max(end[1], 1))
    line = (
        f"{totals.documents:,} texts, {totals.completion_tokens:,} tokens,"
        f" {state.tokens_per_second:,.0f} tokens/s, {dollars(totals.nanodollars)}"
    )
    if state.away:
        line += ", the endpoint is away"
    elif before < done < total:
        line += f", {state.seconds * (total - done) / (done - before) / 60:,.0f} min left"
    return line, done, total
