"""The board as one HTML page that needs nothing beside it."""

from pathlib import Path

from farthing import __version__
from farthing.cli import board_plot, board_text, pages
from farthing.cli.board_rows import Board
from farthing.cli.pages import Heading, Part, Picture, Table, Text
from farthing.errors import InputError

TITLE = "What a token costs, and what it keeps"


def check(path: Path) -> None:
    """Before any work: InputError if the page could not be written there."""
    if path.suffix != ".html":
        raise InputError(f"{path}: the page is HTML; call it *.html")
    pages.check(path)
    board_plot.check()


def write(path: Path, board: Board) -> None:
    pages.write(path, TITLE, parts(board))


def parts(board: Board) -> list[Part]:
    return [
        Text(
            "Measured and reported figures stand apart: ours were taken on this machine and on"
            " these very weights, the others are claims of their authors, by other measures and"
            " elsewhere. MMLU and the share of equal likeliest tokens are different scales."
        ),
        Picture(board_plot.draw(board), "price and quality: reported on the left, ours right"),
        Heading("Measured here"),
        Text(f"An hour of this machine: {board.price}."),
        _qualities(board),
        Text("Speeds and prices:"),
        _costs(board),
        *(Text(line) for line in board_text.conditions(board)),
        *(Text(line.replace("`", "")) for line in board_text.missing(board)),
        *_tasks(board),
        Heading("Reported: models"),
        _models(board),
        Heading("Reported: prices of a million tokens, USD"),
        _prices(board),
        Heading("Reported: claims"),
        _claims(board),
        Heading("Sources of what is reported"),
        Table(["", "source"], [[f"[{letter}]", text] for letter, text in board.sources.items()]),
        Text(f"farthing {__version__}."),
    ]


def _qualities(board: Board) -> Table:
    rows = [
        [one.name, *board_text.shape(one), *board_text.losses(one.quality)] for one in board.here
    ]
    headings = ["model", *board_text.SHAPE, *board_text.LOSSES]
    return Table(headings, rows, frozenset(range(1, len(headings))))


def _costs(board: Board) -> Table:
    rows = [[one.name, *board_text.speeds(one)] for one in board.here]
    headings = ["model", *board_text.SPEEDS]
    return Table(headings, rows, frozenset(range(1, len(headings))))


def _tasks(board: Board) -> list[Part]:
    rows = [
        [one.name, task.task, task.metric, *board_text.solved(task), task.measured]
        for one in board.here
        for task in one.tasks
    ]
    headings = ["model", "task", "by", "right", "chance", "items", "one right answer", "measured"]
    return [Heading("Measured: tasks"), Table(headings, rows, frozenset(range(3, 7)))] * bool(rows)


def _models(board: Board) -> Table:
    rows = [
        [
            one.name,
            one.architecture,
            one.parameters or "not given",
            "" if one.active is None else f"{one.active:.1%}",
            f"{one.mmlu:.1f}",
            f"{one.price:.2f}",
            f"{one.speed:.0f}",
            board_text.letters(one.sources),
            one.error,
        ]
        for one in board.models
    ]
    headings = ["model", "architecture", "parameters", "a token uses", "MMLU", "USD/M", "tokens/s"]
    return Table([*headings, "source", "known error"], rows, frozenset(range(3, 7)))


def _prices(board: Board) -> Table:
    rows = [
        [price.name, *board_text.amounts(price), price.source, price.date, price.note]
        for price in board.prices
    ]
    headings = ["model", "input", "cached input", "output", "source", "date", "note"]
    return Table(headings, rows, frozenset({1, 2, 3}))


def _claims(board: Board) -> Table:
    rows = [
        [one.what, one.figure, one.error, board_text.letters(one.sources)] for one in board.claims
    ]
    return Table(["what", "claim", "known error", "source"], rows)
