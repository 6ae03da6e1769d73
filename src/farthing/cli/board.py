"""`farthing board`: price and quality of the models here, beside what others report."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from farthing import config, store
from farthing.cli import board_page, board_rows, board_text
from farthing.errors import InputError
from farthing.meter.settings import assumption, machine_price


def board(
    *,
    against: tuple[str, ...] = (),
    measure: Annotated[bool, Parameter(negative=())] = False,
    threads: int = 0,
    html: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show what the models here cost and lose, measured; and what articles and price lists report.

    Measured: the loss with its interval (`farthing eval` keeps it), tokens a second and the price
    of a million (`farthing bench` keeps the speed, or --measure), right answers and what one costs
    (`farthing eval MODEL --tasks made` keeps them), the share of parameters that a token uses. All
    at this machine's price of an hour: see `farthing cost`.

    Reported: figures of others, each with its source, as they gave them. They were measured on
    other machines and by other measures, so that the two never stand in one row.

    Parameters
    ----------
    against
        Also show the price of this model, as genai-prices knows it. May be given several times.
    measure
        First measure the speed of every model, and keep it: some ten seconds for a small one. Close
        what else is running.
    threads
        Worker threads for --measure; 0 means one for each core this process may use.
    html
        Also write a page with the picture of price and quality to this file.
    as_json
        Print one JSON object instead of tables.
    """
    if html is not None:
        board_page.check(html)
    if measure:
        with Console(stderr=True).status("") as status:
            folders = [model.folder for model in store.models() if not model.problem]
            board_rows.measure(folders, threads, lambda row: status.update(row))
    elif threads:
        raise InputError("--threads is for --measure: add it, or leave both out")
    price = machine_price(config.settings(), os.environ)
    found = board_rows.board(price, against)
    if html is not None:
        board_page.write(html, found)
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    board_text.show(found, Console(highlight=False))
    print(assumption(price, config.settings()))
    if html is not None:
        print(f"The page is {html}.")
