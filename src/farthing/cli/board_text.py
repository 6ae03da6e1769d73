"""The board for a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farthing.cli.board_rows import Board, Here, Quality, Task
from farthing.cli.ls import millions
from farthing.formats.quality import Interval
from farthing.meter.prices import Price
from farthing.meter.rate import dollars

MISSING = "-"


def show(board: Board, console: Console) -> None:
    console.print("[bold]Measured[/bold] here", end="\n\n")
    if not board.here:
        console.print("no models here; `farthing pull smollm2-135m` fetches one")
    else:
        console.print(qualities(board), "", costs(board), sep="\n")
    for line in (*conditions(board), *missing(board)):
        console.print(line, soft_wrap=True, markup=False)
    if any(one.tasks for one in board.here):
        console.print("", tasks(board), sep="\n")
    console.print("\n[bold]Reported[/bold] by others: claims, not ours", end="\n\n")
    console.print(models(board), "", prices(board), "", claims(board), "", sep="\n")
    for letter, source in board.sources.items():
        console.print(f"[{letter}] {source}", soft_wrap=True, markup=False)
    for mark, error in marked(board):
        console.print(f"{mark}: {error}", soft_wrap=True, markup=False)


def qualities(board: Board) -> Table:
    table = _table("model", right=("parameters", "a token uses", "bits", "KL", "same top"))
    for one in board.here:
        table.add_row(escape(one.name), *shape(one), *losses(one.quality))
    return table


def costs(board: Board) -> Table:
    ways = ("in", "alone", "32 together")
    right = (f"tokens/s {ways[0]}", *ways[1:], f"USD/M {ways[0]}", *ways[1:])
    table = _table("model", right=right)
    for one in board.here:
        table.add_row(escape(one.name), *speeds(one))
    return table


SHAPE = ("parameters", "a token uses", "bits")
LOSSES = ("KL, nats a token", "same top")
SPEEDS = (
    "tokens/s in",
    "out, alone",
    "out, 32 together",
    "USD/M in",
    "out, alone",
    "out, 32 together",
)


def shape(one: Here) -> list[str]:
    if one.problem:
        return [MISSING] * len(SHAPE)
    return [millions(one.parameters), f"{one.active_share:.1%}", f"{one.bits:.2f}"]


def losses(quality: Quality | None) -> list[str]:
    if quality is None:
        return [MISSING] * len(LOSSES)
    return [span(quality.kl, "{:.3g}"), span(quality.same_top, "{:.1%}")]


def speeds(one: Here) -> list[str]:
    """What was not measured is a dash."""
    if one.speed is None or one.cost is None:
        return [MISSING] * len(SPEEDS)
    speed, cost = one.speed, one.cost
    rates = [f"{rate:,.0f}" for rate in (speed.prompt, speed.alone, speed.together)]
    return rates + [dollars(each) for each in (cost.prompt, cost.alone, cost.together)]


def conditions(board: Board) -> list[str]:
    """What the figures were measured on."""
    lines = []
    for one in board.here:
        if one.quality:
            of = one.quality
            lines.append(
                f"{one.name}: loss of {of.levers}, against {of.against}, {of.text}; {of.measured}"
            )
        if one.speed:
            of_speed = one.speed
            lines.append(
                f"{one.name}: speed on {of_speed.isa}, {of_speed.threads} threads;"
                f" {of_speed.measured}"
            )
    return lines


def missing(board: Board) -> list[str]:
    """What to type for what is a dash."""
    lines = []
    for one in board.here:
        if one.problem:
            lines.append(f"{one.name} is damaged: {one.problem}")
            continue
        if one.quality is None and one.levers:
            lines.append(f"{one.name}: loss not measured; {one.how} measures it")
    if any(one.speed is None and not one.problem for one in board.here):
        lines.append("speeds not measured: `farthing board --measure`, or `farthing bench MODEL`")
    return lines


def tasks(board: Board) -> Table:
    table = _table(
        "model", "task, measured", right=("right", "chance", "items", "one right answer")
    )
    for one in board.here:
        for task in one.tasks:
            table.add_row(escape(one.name), escape(f"{task.task}, {task.metric}"), *solved(task))
    return table


def solved(task: Task) -> list[str]:
    price = MISSING if task.solved is None else dollars(task.solved)
    return [span(task.share, "{:.1%}"), f"{task.chance:.0%}", f"{task.count:,}", price]


def models(board: Board) -> Table:
    table = _table("model, reported", "architecture", right=("MMLU", "USD/M", "tokens/s"))
    table.add_column("")
    for one in board.models:
        what = f"{one.architecture}; {one.parameters or 'size unknown'}{star(one.error)}"
        figures = (f"{one.mmlu:.1f}", f"{one.price:.2f}", f"{one.speed:.0f}")
        table.add_row(one.name, what, *figures, escape(letters(one.sources)))
    return table


def prices(board: Board) -> Table:
    table = _table("USD a million, reported", right=("in", "cached", "out"))
    table.add_column("source")
    for price in board.prices:
        table.add_row(escape(price.name), *amounts(price), _source(board, price))
    return table


def _source(board: Board, price: Price) -> str:
    """Letters of articles; a price list by its name and day."""
    if not price.reported:
        return escape(f"{price.source}, {price.date}")
    by_text = {text: letter for letter, text in board.sources.items()}
    parts = price.source.split("; ")
    return escape(letters(tuple(by_text.get(part, part) for part in parts)))


def amounts(price: Price) -> list[str]:
    each = (price.fresh, price.cached, price.decode)
    return [MISSING if amount is None else dollars(amount) for amount in each]


def claims(board: Board) -> Table:
    table = _table("claim, reported", "figure", "")
    for one in board.claims:
        table.add_row(one.what, f"{one.figure}{star(one.error)}", escape(letters(one.sources)))
    return table


def marked(board: Board) -> list[tuple[str, str]]:
    """The known errors, by what they are in."""
    found = [(one.name, one.error) for one in board.models]
    found += [(one.what, one.error) for one in board.claims]
    return [(f"* {name}", error) for name, error in found if error]


def star(error: str) -> str:
    return " *" if error else ""


def letters(keys: tuple[str, ...]) -> str:
    return "".join(f"[{key}]" for key in keys)


def span(of: Interval, form: str) -> str:
    """The mean, and its 95 % interval in brackets."""
    mean, low, high = (form.format(value) for value in (of.mean, of.low, of.high))
    return f"{mean} ({low} to {high})"


def _table(*left: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(left):
        table.add_column(heading, no_wrap=place == 0 and "claim" not in heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table
