"""The ledger's figures as tables for people and objects for programs."""

from datetime import date
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from farthing.meter.against import Comparison, percent
from farthing.meter.prices import Price
from farthing.meter.rate import NANO, dollars
from farthing.meter.rows import ClockTotal, Line
from farthing.usage import CLASSES

UNITS = (
    (86_400 * NANO, "days"),
    (3600 * NANO, "h"),
    (60 * NANO, "min"),
    (NANO, "s"),
    (10**6, "ms"),
)


def heading(total: Line, ledger: str, since: date | None) -> RenderableType:
    text = Text()
    text.append(dollars(total.nanodollars), style="bold green")
    text.append(f" for {count(total.requests)} request{'s' * (total.requests != 1)}")
    text.append(f", {count(sum(total.tokens))} tokens, {span(total.time)} of work")
    text.append(f" since {since}" if since else "")
    text.append(f"\n{ledger}\n", style="dim")
    return text


def nothing(ledger: str, since: date | None) -> RenderableType:
    """How to make a ledger, where there is none or an empty one."""
    text = Text(f"No bills{f' since {since}' if since else ' yet'}")
    text.append(f" in {ledger}.\n")
    text.append("`farthing serve` writes one for every request: start it, ask it something, then\n")
    text.append("look here again. FARTHING_LEDGER names another file or database.\n")
    return text


def lines(name: str, rows: list[Line]) -> RenderableType:
    # Narrow enough for 80 columns with figures whole: only a long name may fold.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name, overflow="fold", header_style="bold cyan")
    for column in ("requests", *CLASSES, "time"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("cost", justify="right", style="green", no_wrap=True)
    for row in rows:
        figures = [count(row.requests), *map(count, row.tokens), span(row.time)]
        table.add_row(escape(row.name), *figures, dollars(row.nanodollars))
    return table


def clock(total: ClockTotal) -> RenderableType:
    """Where the machine's time went, and what having it cost."""
    spent = total.spent
    parts = [
        f"{name} {span(time)} ({percent(time / total.time)})"
        for name, time in (("busy", spent.busy), ("idle", spent.idle), ("loading", spent.load))
    ]
    text = Text("The machine: " + ", ".join(parts) + ".\nReserved, idle included: ")
    text.append(dollars(total.nanodollars), style="bold green")
    text.append("\n")
    return text


def against(price: Price, found: Comparison) -> RenderableType:
    title = Text("The same tokens at ")
    title.append(price.name, style="bold cyan")
    if price.reported:
        title.append(" (reported)", style="yellow")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right", style="green")
    table.add_column(style="dim")
    table.add_row("there", dollars(found.theirs), list_prices(price))
    table.add_row("here, as used", dollars(found.used), "the time the work took")
    kept = found.reserved is not None
    table.add_row(
        "here, as reserved",
        dollars(found.reserved or 0) if kept else "-",
        f"idle included; it worked {percent(found.utilisation)}" if kept else "no clock was kept",
    )
    table.add_row("even at", even(found), "of the machine's time at work")
    return Group(title, table, Text(found.verdict, style="bold"), remarks(price))


def even(found: Comparison) -> str:
    if found.even is None:
        return "-"
    return percent(found.even) if found.even <= 1 else "never"


def list_prices(price: Price) -> str:
    pairs = (("in", price.fresh), ("cached", price.cached), ("out", price.decode))
    figures = [f"{dollars(money)} {name}" for name, money in pairs if money is not None]
    return ", ".join(figures) + " a million"


def remarks(price: Price) -> RenderableType:
    """The source, and what makes the comparison less than fair."""
    text = f"Source: {price.source}; price of {price.date}."
    if price.missing:
        text += f" It gives no figure for {', '.join(price.missing)}, counted as nothing."
    if price.note:
        text += f" Note: {price.note}."
    return Text(f"{text} The same tokens are not the same model: quality is not compared.\n", "dim")


def count(value: int) -> str:
    if value < 1_000_000:
        return f"{value:,}"
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if value >= size:
            return f"{value / size:.2f}{unit}"
    raise AssertionError(value)


def span(nanoseconds: int) -> str:
    """Time for people, in the largest unit it fills."""
    size, unit = next((u for u in UNITS if nanoseconds >= u[0]), UNITS[-1])
    return f"{nanoseconds / size:.3g} {unit}"


def line_object(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "requests": line.requests,
        "tokens": dict(zip(CLASSES, line.tokens, strict=True)),
        "nanoseconds": dict(zip(CLASSES, line.nanoseconds, strict=True)),
        "nanodollars": line.nanodollars,
        "dollars": line.nanodollars / NANO,
    }


def clock_object(total: ClockTotal) -> dict[str, Any]:
    spent = total.spent
    return {
        "busy_nanoseconds": spent.busy,
        "idle_nanoseconds": spent.idle,
        "load_nanoseconds": spent.load,
        "reserved_nanodollars": total.nanodollars,
    }


def against_object(price: Price, found: Comparison) -> dict[str, Any]:
    return {
        "name": price.name,
        "reported": price.reported,
        "source": price.source,
        "date": price.date,
        "note": price.note,
        "nanodollars_per_million": {
            "fresh": price.fresh,
            "cached": price.cached,
            "decode": price.decode,
        },
        "missing": price.missing,
        "their_nanodollars": found.theirs,
        "used_nanodollars": found.used,
        "reserved_nanodollars": found.reserved,
        "utilisation": found.utilisation,
        "cheaper_from_utilisation": found.even,
        "verdict": found.verdict,
    }
