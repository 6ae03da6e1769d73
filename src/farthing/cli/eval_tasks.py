"""Tasks of `farthing eval --tasks`: from names and files to scores, and how scores are shown."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from farthing.cli import pages
from farthing.cli.progress import stages
from farthing.config import EngineConfig, settings
from farthing.engine.runner import NativeRunner
from farthing.errors import InputError
from farthing.evaluate import tasks
from farthing.evaluate.opened import Opened
from farthing.evaluate.tasks import Score, Task, choice, exact, humaneval, lines, made, native
from farthing.evaluate.tasks.kept import Kept
from farthing.formats.quality import Interval
from farthing.meter.rate import dollars
from farthing.meter.settings import machine_price

HUMANEVAL, MADE = "humaneval", "made"
HEADINGS = ("task", "counted by", "right", "chance", "items", "written", "cost")


def named(
    names: Sequence[str], *, chat: bool = False, limit: int | None = None, unsafe: bool = False
) -> list[Task]:
    """Names may be joined by commas. Raises NotFound, or InputError naming the line of a file."""
    found: list[Task] = []
    for name in (part.strip() for joined in names for part in joined.split(",")):
        if name == HUMANEVAL:
            found.append(humaneval.read(chat=chat, limit=limit, unsafe=unsafe))
        elif name == MADE:
            found += [made.choices(), made.answers()]
        elif name.endswith(".jsonl"):
            found.append(_file(Path(name).expanduser(), chat))
        else:
            raise InputError(
                f"{name!r:.80} is no task; known are {HUMANEVAL}, {MADE}, and any FILE.jsonl"
                " of question, choices, answer, or of question, answer"
            )
    return found


def _file(path: Path, chat: bool) -> Task:
    """Multiple choice if its first item has choices, exact match if not."""
    _, first = next(lines.objects(path, choice.KEYS | exact.KEYS))
    return choice.read(path, chat=chat) if "choices" in first else exact.read(path, chat=chat)


def scores(of: Opened, asked: Sequence[Task], kv_bits: int = 16) -> list[Score]:
    """Of the engine as served; a checkpoint that is not packed is, for as long as it takes."""
    if not asked:
        return []
    config = EngineConfig(kv_bits=kv_bits)
    price = machine_price(settings(), os.environ)
    with of.as_packed() as folder, stages() as told:
        model = native.Native(NativeRunner(folder, config), of.tokenizer(), config)
        return tasks.run(model, asked, told, price=price)


def table(found: Sequence[Score], reference: Sequence[Score]) -> Table:
    """Shares with their 95 % intervals, in per cent; tokens written; at the machine's price."""
    shown = page_table(found, reference)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(shown.headings):
        table.add_column(heading, justify="right" if place in shown.numbers else "left")
    for row in shown.rows:
        table.add_row(*map(escape, row))
    return table


def page_table(found: Sequence[Score], reference: Sequence[Score]) -> pages.Table:
    """With the reference's shares beside where it was asked the same."""
    headings = list(HEADINGS)
    rows = [_row(score) for score in found]
    if reference:
        headings.insert(3, "reference")
        for row, theirs in zip(rows, reference, strict=True):
            row.insert(3, _share(theirs.share))
    return pages.Table(headings, rows, frozenset(range(2, len(headings))))


def _row(score: Score) -> list[str]:
    cost = "" if score.nanodollars is None else dollars(score.nanodollars)
    counts = (f"{score.count:,}", f"{score.tokens_out:,}", cost)
    return [score.task, score.metric, _share(score.share), f"{score.chance:.0%}", *counts]


def _share(of: Interval) -> str:
    return f"{of.mean:.1%} ({100 * of.low:.0f}-{100 * of.high:.0f})"


def words(found: Sequence[Score], kept: Kept | None) -> list[str]:
    """What did not simply end right or wrong, and what was kept of the reference's scores."""
    said = []
    for score in found:
        notes = [f"{count} {what}" for what, count in score.notes.items() if count]
        if notes:
            said.append(f"{score.task}: {', '.join(notes)}.")
    if kept is not None and kept.share is not None:
        share = f"{kept.share.mean:.3f} ({kept.share.low:.3f} to {kept.share.high:.3f})"
        said.append(f"Of the reference's scores {share} is kept, by {', '.join(kept.counted)}.")
    if kept is not None and kept.left_out:
        said.append(f"Too near to guessing to say: {', '.join(kept.left_out)}.")
    return said
