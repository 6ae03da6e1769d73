"""What `farthing eval` shows in a terminal: one table, and what it says in words."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farthing.cli import eval_tasks
from farthing.cli.eval_job import Found
from farthing.formats.quality import Interval, Row

NAMES = {"weights": "weights", "activations": "activations", "kv": "cache"}
HEADINGS = ("KL", "95 %", "median", "p99", "max", "same top", "perplexity")


def show(found: Found) -> None:
    console = Console(highlight=False)
    if found.rows:
        console.print(heading(found.model.name, found.rows[0]), soft_wrap=True, markup=False)
        console.print()
        console.print(table(found.rows))
        console.print()
    said = words(found.rows)
    if found.scores:
        console.print(eval_tasks.table(found.scores, found.reference_scores))
        console.print()
        said += eval_tasks.words(found.scores, found.kept)
    for line in said:
        console.print(line, soft_wrap=True, markup=False)
    if found.saved and len(found.longer) < len(found.rows):
        console.print("Kept in its quality.json: `farthing show` and `farthing serve` read it.")
    for row in found.longer:
        said_before = f"quality.json keeps what {last(row)} lost on {row.text.tokens:,} tokens"
        console.print(f"{said_before} ({row.measured}): more than now.", markup=False)


def heading(name: str, row: Row) -> str:
    return f"{name} against {against(row)}, on {row.text.tokens:,} tokens ({row.text.what})"


def table(rows: Sequence[Row]) -> Table:
    """KL in nats a token: its mean and the interval of that; other intervals are in the JSON."""
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column("lossy")
    for heading in HEADINGS:
        made.add_column(heading, justify="right", no_wrap=True)
    for place, row in enumerate(rows):
        made.add_row(escape(("+ " if place else "") + last(row)), *cells(row))
    reference = rows[0].loss.reference_perplexity
    made.add_row("reference", *[""] * 6, f"{reference.mean:.3f}")
    return made


def cells(row: Row) -> list[str]:
    """As HEADINGS name them."""
    loss = row.loss
    return [
        f"{loss.kl.mean:.2g}",
        f"{loss.kl.low:.2g}-{loss.kl.high:.2g}",
        f"{loss.kl_median:.2g}",
        f"{loss.kl_p99:.2g}",
        f"{loss.kl_max:.2g}",
        f"{loss.same_top.mean:.1%}",
        f"{loss.perplexity.mean:.3f}",
    ]


def span(of: Interval, form: str) -> str:
    low, high = form.format(of.low), form.format(of.high)
    return f"{form.format(of.mean)} ({low} to {high})"


def last(row: Row) -> str:
    """The lever that a row adds to those of the row above: "cache int4"."""
    name, value = list(row.levers.items())[-1]
    return f"{NAMES.get(name, name)} {value}"


def levers(row: Row) -> str:
    """All that were on: "weights gptq 4-f16 g32, activations int8"."""
    return ", ".join(f"{NAMES.get(name, name)} {value}" for name, value in row.levers.items())


def against(row: Row) -> str:
    return f"{row.against.name} in {row.against.arithmetic}"


def words(rows: Sequence[Row]) -> list[str]:
    """What the figures mean, a sentence for each row."""
    return [("with " if place else "") + sentence(row) for place, row in enumerate(rows)]


def sentence(row: Row) -> str:
    return f"{last(row)}: {often(row.loss.same_top.mean)}; {worse(row)}{added(row)}."


def often(same: float) -> str:
    """The share that differs: 1 of so many, or of 100 where it is many."""
    if same >= 1:
        return "no likeliest token differs"
    if same <= 0.9:
        return f"{100 * (1 - same):.0f} of 100 likeliest tokens differ"
    return f"1 of {round(1 / (1 - same)):,} likeliest tokens differs"


def worse(row: Row) -> str:
    ratio = row.loss.perplexity.mean / row.loss.reference_perplexity.mean - 1
    if abs(ratio) < 5e-5:
        return "the text is as likely as before"
    return f"perplexity is {abs(ratio):.2%} {'higher' if ratio > 0 else 'lower'}"


def added(row: Row) -> str:
    loss = row.loss.added
    if loss is None:
        return ""
    return f"; KL added by this lever {span(loss, '{:+.2g}')}"
