"""`farthing cost`: what has been spent, on what, and what the same would cost elsewhere."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Console

from farthing import config
from farthing.cli import bill
from farthing.meter.against import Comparison, compare
from farthing.meter.ledger import By, Ledger
from farthing.meter.prices import Price, find
from farthing.meter.rate import NANO, MachinePrice
from farthing.meter.rate import cost as priced
from farthing.meter.rows import ClockTotal, Line
from farthing.meter.settings import assumption, machine_price, save

VIEWS: tuple[By, ...] = ("key", "model", "day")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    capital: Decimal | None = None
    """What the machine cost, in dollars. Any figure of the machine shows the ledger as it would be
    at that price; the bills themselves never change."""

    years: Decimal | None = None
    """How long the machine lasts."""

    utilisation: Decimal | None = None
    """Share of its life it works: 0.25 makes every hour of work carry three idle ones."""

    watts: Decimal | None = None
    """What the machine draws."""

    kwh: Decimal | None = None
    """Dollars for a kilowatt-hour."""

    hour: Decimal | None = None
    """A flat price in dollars an hour (a cloud's rate) in place of the five above."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown."""

    ledger: str
    since: date | None
    price: MachinePrice
    repriced: bool
    total: Line
    views: dict[By, list[Line]]
    clock: ClockTotal
    against: list[tuple[Price, Comparison]]


def cost(
    *,
    by: Literal["all", "key", "model", "day"] = "all",
    against: tuple[str, ...] = (),
    since: date | None = None,
    machine: Machine | None = None,
    save_machine: Annotated[bool, Parameter(name="--save", negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show what has been spent, by key, model and day, and what it would cost elsewhere.

    The bills are those of `farthing serve`, kept in $FARTHING_LEDGER (a file, or the address of a
    database), else beside the models.

    Parameters
    ----------
    by
        Show one division only.
    against
        Compare with a model sold by the token, like gpt-5.2. May be given several times.
    since
        Count from this day on (UTC), like 2026-11-01.
    save_machine
        Keep the given figures of the machine for all verbs and later bills.
    as_json
        Print one JSON object instead of tables.
    """
    flags = asdict(machine or Machine())
    if save_machine:
        save(config.settings(), flags)
    price = machine_price(config.settings(), os.environ, flags)
    views = VIEWS if by == "all" else (by,)
    account = read(
        price, views, against, since, repriced=any(v is not None for v in flags.values())
    )
    if as_json:
        print(json.dumps(as_object(account)))
    else:
        show(account, Console())


def read(
    price: MachinePrice,
    views: tuple[By, ...],
    against: tuple[str, ...],
    since: date | None,
    *,
    repriced: bool,
) -> Account:
    """The account of the ledger as set. A file that is not there is an empty ledger: none is made.

    `repriced` shows it at `price`; else as billed.
    """
    prices = [find(name) for name in against]
    where = config.ledger()
    total, clock = Line(name="all"), ClockTotal()
    lines: dict[By, list[Line]] = {view: [] for view in views}
    if "://" in where or Path(where).exists():
        ledger = Ledger(where)
        where = ledger.name
        start = nanoseconds(since)
        total, clock = ledger.total(start), ledger.clock(start)
        lines = {view: ledger.by(view, start) for view in views}
        ledger.close()
    if repriced:
        total, clock = at(price, total), clock_at(price, clock)
        lines = {view: [at(price, line) for line in lines[view]] for view in views}
    return Account(
        ledger=where,
        since=since,
        price=price,
        repriced=repriced,
        total=total,
        views=lines,
        clock=clock,
        against=[(p, compare(total, clock, p, price.owned_nanodollars)) for p in prices],
    )


def at(price: MachinePrice, line: Line) -> Line:
    return msgspec.structs.replace(line, nanodollars=priced(line.time, price.hour_nanodollars))


def clock_at(price: MachinePrice, clock: ClockTotal) -> ClockTotal:
    money = priced(clock.time, price.owned_nanodollars)
    return msgspec.structs.replace(clock, nanodollars=money)


def nanoseconds(day: date | None) -> int:
    if day is None:
        return 0
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return max(0, int(start.timestamp()) * NANO)


def show(account: Account, console: Console) -> None:
    """For people. Ends with the price of the hour that all of it rests on."""
    if account.total.requests:
        console.print(bill.heading(account.total, account.ledger, account.since))
        for view, lines in account.views.items():
            console.print(bill.lines(view, lines))
    else:
        console.print(bill.nothing(account.ledger, account.since))
    if account.clock.time:
        console.print(bill.clock(account.clock))
    for price, comparison in account.against:
        console.print(bill.against(price, comparison))
    if account.repriced and account.total.requests:
        console.print("Shown at the price below; the bills stay as they were.", style="yellow")
    console.print(assumption(account.price, config.settings()), style="dim", markup=False)


def as_object(account: Account) -> dict[str, object]:
    """For programs. Money in whole nano-dollars, time in nanoseconds."""
    price = account.price
    return {
        "ledger": account.ledger,
        "since": account.since.isoformat() if account.since else None,
        "repriced": account.repriced,
        "hour": {
            "nanodollars": price.hour_nanodollars,
            "owned_nanodollars": price.owned_nanodollars,
            "assumption": assumption(price, config.settings()),
        },
        "total": bill.line_object(account.total),
        **{f"by_{v}": [bill.line_object(x) for x in rows] for v, rows in account.views.items()},
        "clock": bill.clock_object(account.clock),
        "against": [bill.against_object(*pair) for pair in account.against],
    }
