"""Price and quality as a picture of two panels: what is reported, and what was measured here."""

from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

from farthing.cli.board_rows import Board
from farthing.errors import InputError
from farthing.meter.rate import NANO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DOTS = (11.0, 4.8), 130
REPORTED, MEASURED, PALE = "#ca6f1e", "#21618c", "#d5d8dc"


def check() -> None:
    """InputError if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "the page's picture needs matplotlib, which is not installed: `pip install"
            " 'farthing[plot]'` (or leave out --html)"
        )


def draw(board: Board) -> bytes:
    """A PNG. The two panels share no axis: neither prices nor scores were taken alike."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    left, right = figure.subplots(1, 2)
    _reported(left, board)
    _measured(right, board)
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _reported(axes: "Axes", board: Board) -> None:
    axes.set_title("reported: MMLU and price, as an article gives them", loc="left", fontsize=11)
    for place, one in enumerate(board.models):
        axes.plot(one.price, one.mmlu, "o", color=REPORTED)
        _name(axes, one.name, one.price, one.mmlu, below=place % 2 == 0)
    _bare(axes, "USD for a million tokens (reported)", "MMLU (reported)")


def _measured(axes: "Axes", board: Board) -> None:
    title = "measured here: same likeliest token as the reference"
    axes.set_title(title, loc="left", fontsize=11)
    points = 0
    for one in board.here:
        if one.quality is None or one.cost is None:
            continue
        same, points = one.quality.same_top, points + 1
        ends = [[100 * (same.mean - same.low)], [100 * (same.high - same.mean)]]
        prices = [cost / NANO for cost in (one.cost.together, one.cost.alone)]
        # from 32 answers together to one alone
        axes.plot(prices, [100 * same.mean] * 2, color=PALE, linewidth=2, zorder=1)
        axes.errorbar(prices[0], 100 * same.mean, ends, fmt="o", color=MEASURED, capsize=3)
        axes.plot(prices[1], 100 * same.mean, "o", color=MEASURED, markerfacecolor="white")
        _name(axes, one.name, prices[0], 100 * same.mean)
    _bare(axes, "USD for a million tokens out: 32 together ●, one alone ○", "same top, %")
    if not points:
        axes.text(0.5, 0.5, "nothing measured yet", ha="center", transform=axes.transAxes)
        axes.set_xscale("linear")
        axes.set_xticks([])
        axes.set_yticks([])


def _name(axes: "Axes", name: str, x: float, y: float, *, below: bool = False) -> None:
    offset = (7, -13 if below else 6)
    axes.annotate(name, (x, y), xytext=offset, textcoords="offset points", fontsize=9)


def _bare(axes: "Axes", x: str, y: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.margins(0.25)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
