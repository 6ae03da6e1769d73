"""The figures of a routing trace as one picture. The only user of matplotlib."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from farthing.cli.heat_map import PALETTE, REACH
from farthing.errors import InputError
from farthing.evaluate.routing import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

INCHES, DOTS = (12.0, 9.0), 110
MEASURED, BEST, EVEN = "#21618c", "#1e8449", "#909497"
TICKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)


def draw(figures: Figures, path: Path, *, title: str) -> None:
    """Write a PNG. InputError if matplotlib is missing or the file can't be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "pictures need matplotlib, which is not installed: `pip install 'farthing[plot]'`"
            " (or leave out --png; the terminal shows the same figures)"
        ) from error
    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.add_gridspec(2, 1, height_ratios=(1.25, 1))
    above = figure.add_subfigure(grid[0])
    heat, uneven = above.subplots(1, 2, sharey=True, width_ratios=(5.4, 1))
    _heat(above, heat, figures)
    _imbalance(uneven, figures)
    touched, caches = figure.add_subfigure(grid[1]).subplots(1, 2)
    _distinct(touched, figures)
    _caches(caches, figures)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}") from error


def _heat(figure: "FigureBase", axes: "Axes", figures: Figures) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    counts = figures.counts
    ratio = counts / counts.mean(1, keepdims=True)
    levels = np.log2(np.maximum(ratio, 2.0 ** (-REACH - 1)))
    image = axes.imshow(
        levels,
        aspect="auto",
        interpolation="nearest",
        cmap=LinearSegmentedColormap.from_list("use", PALETTE),
        vmin=-REACH,
        vmax=REACH,
    )
    axes.set_title("Use of each expert", loc="left")
    axes.set_xlabel("expert")
    axes.set_ylabel("layer")
    _number_layers(axes, figures)
    marks = range(-REACH, REACH + 1)
    bar = figure.colorbar(image, ax=axes, ticks=list(marks), pad=0.01, aspect=30)
    names = [f"1/{2**-mark}" if mark < 0 else f"{2**mark}" for mark in marks]
    bar.set_ticklabels([f"≤ {names[0]}", *names[1:-1], f"≥ {names[-1]}"])
    bar.set_label("times the layer's mean")


def _number_layers(axes: "Axes", figures: Figures) -> None:
    layers = figures.trace.layers
    places = range(0, len(layers), max(1, -(-len(layers) // 12)))
    axes.set_yticks(list(places), [str(layers[place]) for place in places])


def _imbalance(axes: "Axes", figures: Figures) -> None:
    places = np.arange(len(figures.imbalance))
    axes.barh(places, figures.imbalance, height=0.8, color=MEASURED)
    axes.axvline(1, color=EVEN, linewidth=1)
    axes.set_xlim(0)
    axes.set_title("Imbalance", loc="left")
    axes.set_xlabel("max / mean")
    _bare(axes)


def _distinct(axes: "Axes", figures: Figures) -> None:
    sizes = [one.tokens for one in figures.distinct]
    uniform = [one.uniform for one in figures.distinct]
    measured = [one.measured for one in figures.distinct]
    axes.plot(sizes, uniform, color=EVEN, linestyle="--", label="even routing")
    axes.plot(sizes, measured, color=MEASURED, marker="o", markersize=4, label="measured")
    axes.set_xscale("log", base=2)
    ticks = [tick for tick in TICKS if tick <= sizes[-1]]
    every = ticks[:: -(-len(ticks) // 9)]
    axes.set_xticks(every, [f"{tick:,}" for tick in every])
    axes.set_ylim(0, figures.trace.experts * 1.03)
    axes.set_title("Distinct experts that some tokens touch", loc="left")
    axes.set_xlabel("consecutive tokens")
    axes.set_ylabel("experts of a layer")
    axes.legend(frameon=False, loc="lower right")
    _bare(axes)


def _caches(axes: "Axes", figures: Figures) -> None:
    found = figures.cache
    sizes = np.arange(figures.trace.experts + 1)
    for curve, color, style, label in (
        (found.best, BEST, "-", "best possible: exchanged knowing what comes"),
        (found.hottest, MEASURED, "-", "hottest of the first half, on the second"),
        (found.uniform, EVEN, "--", "even routing"),
    ):
        rates = np.concatenate([[0.0], curve]) * 100
        axes.plot(sizes, rates, color=color, linestyle=style, label=label)
    axes.set_xlim(0, figures.trace.experts)
    axes.set_ylim(0, 103)
    axes.set_title("Hit rate of a cache of experts", loc="left")
    axes.set_xlabel("experts kept of each layer")
    axes.set_ylabel("uses that find their expert, %")
    axes.legend(frameon=False, loc="lower right")
    _bare(axes)


def _bare(axes: "Axes") -> None:
    """Only the two lines that numbers hang on."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
