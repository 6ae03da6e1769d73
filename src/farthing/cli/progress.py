"""Progress bars on the terminal; nothing where no person waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Tell(Protocol):
    """Told what is being done, how far it is, of how much (0: not known), and with what."""

    def __call__(self, doing: str, done: int, total: int, now: str = "") -> None: ...


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function that is told what is done, bytes done and bytes in all; one bar for each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total or None)
            progress.update(tasks[doing], completed=done)

        yield tell


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many of `total` are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def stages() -> Iterator[Tell]:
    """Gives a function that is told of one stage after another; a bar with the time left each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[now]}", style="dim"),
    )
    console = Console(stderr=True)
    off = not console.is_terminal
    # One step of a stage may take minutes: speed is that of the whole stage.
    with Progress(*columns, console=console, disable=off, speed_estimate_period=1e9) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(doing: str, done: int, total: int, now: str = "") -> None:
            if doing not in tasks:
                for task in tasks.values():
                    progress.update(task, total=1, completed=1, now="")
                tasks[doing] = progress.add_task(doing, total=total or None, now=now)
            progress.update(tasks[doing], completed=done, total=total or None, now=now)

        yield tell
        for task in tasks.values():
            progress.update(task, total=1, completed=1, now="")
