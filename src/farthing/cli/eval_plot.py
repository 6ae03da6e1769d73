"""What `farthing eval` found, as one picture."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.evaluate.divergence import Tokens
from farthing.formats.quality import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DOTS = (11.0, 7.6), 130
COLORS = ("#21618c", "#ca6f1e", "#1e8449")
STYLES = ("-", "--", ":")
PALE = "#d5d8dc"
LEAST, MOST = -7, 1.5
"""Powers of ten of the histogram; what lies outside counts in its first or last bin."""
BINS = 60
PLACES, SURE = 16, 10

Floats = NDArray[np.float64]


def check() -> None:
    """Before any work: InputError if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "the plots of a report need matplotlib, which is not installed:"
            " `pip install 'farthing[plot]'` (or leave out --report; --json has the figures)"
        )


def draw(
    rows: Mapping[str, Tokens], lengths: Sequence[int], means: Mapping[str, Interval]
) -> bytes:
    """A PNG of every row by its name: how far, where, how sure, and the means."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    (how_far, means_of), (where, sure) = figure.subplots(2, 2)
    _histogram(how_far, rows)
    _means(means_of, means)
    _positions(where, rows, lengths)
    _sureness(sure, rows)
    for axes in (how_far, means_of, where, sure):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _histogram(axes: "Axes", rows: Mapping[str, Tokens]) -> None:
    edges = np.logspace(LEAST, MOST, BINS + 1)
    for place, (name, tokens) in enumerate(rows.items()):
        within = np.clip(tokens.kl, edges[0], edges[-1])
        counts, _ = np.histogram(within, edges)
        axes.stairs(counts / len(tokens) * 100, edges, label=name, **_look(place))
    axes.set_xscale("log")
    axes.set_title("KL of each token", loc="left")
    axes.set_xlabel("nats (the first and last bin hold what lies beyond)")
    axes.set_ylabel("tokens, %")
    axes.legend(frameon=False, loc="upper left", fontsize=8)


def _means(axes: "Axes", means: Mapping[str, Interval]) -> None:
    for place, of in enumerate(means.values()):
        ends = [[of.mean - of.low], [of.high - of.mean]]
        axes.errorbar(
            [of.mean], [place], xerr=np.maximum(ends, 0), fmt="o", capsize=4, color=_color(place)
        )
    axes.set_yticks(range(len(means)), list(means))
    axes.set_ylim(len(means) - 0.5, -0.5)
    axes.set_xlim(0)
    axes.locator_params(axis="x", nbins=6)
    axes.set_title("Mean KL and its 95 % interval", loc="left")
    axes.set_xlabel("nats a token")


def _positions(axes: "Axes", rows: Mapping[str, Tokens], lengths: Sequence[int]) -> None:
    places = np.concatenate([np.arange(length) for length in lengths])
    edges = np.unique(np.linspace(0, max(lengths), PLACES + 1).astype(int))
    for place, (_, tokens) in enumerate(rows.items()):
        means, _ = _by_bin(places, edges, tokens.kl)
        axes.stairs(means, edges, baseline=None, **_look(place))
    axes.set_ylim(0)
    axes.set_title("KL by position", loc="left")
    axes.set_xlabel("tokens read before")
    axes.set_ylabel("mean, nats")


def _sureness(axes: "Axes", rows: Mapping[str, Tokens]) -> None:
    edges = np.linspace(0, 1, SURE + 1)
    beside = axes.twinx()
    first = next(iter(rows.values()))
    counts, _ = np.histogram(first.confidence, edges)
    beside.stairs(counts / len(first) * 100, edges, fill=True, color=PALE, alpha=0.6)
    beside.set_ylabel("tokens, % (grey)", color="#797d7f")
    beside.spines[["top"]].set_visible(False)
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)
    for place, (_, tokens) in enumerate(rows.items()):
        shares, held = _by_bin(tokens.confidence, edges, tokens.same.astype(np.float64))
        middle = (edges[:-1] + edges[1:]) / 2
        look = _look(place)
        axes.plot(middle[held], shares[held] * 100, marker="o", markersize=4, **look)
    axes.set_ylim(0, 103)
    axes.set_xlim(0, 1)
    axes.set_title("Same likeliest token, by how sure the reference is", loc="left")
    axes.set_xlabel("the reference's probability of its likeliest")
    axes.set_ylabel("same, %")


def _by_bin(
    of: NDArray[np.generic], edges: NDArray[np.generic], values: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """The mean of the values in each bin of `of`, and which bins hold any."""
    counts, _ = np.histogram(of, edges)
    sums, _ = np.histogram(of, edges, weights=values)
    means = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means, counts > 0


def _color(place: int) -> str:
    return COLORS[place % len(COLORS)]


def _look(place: int) -> dict[str, Any]:
    return {"color": _color(place), "linestyle": STYLES[place % len(STYLES)]}
