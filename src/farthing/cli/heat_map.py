"""How often each expert of each layer is used, in colours on the terminal. A line or more a layer.

A cell's place on the scale is its use over the layer's mean, by powers of two from 1/8 to 8.
"""

from collections.abc import Iterator, Sequence
from math import log2

from rich.color import Color
from rich.style import Style
from rich.text import Text

from farthing.evaluate.routing import Figures

PALETTE = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""From cold to hot; even in brightness, and told apart by the colour-blind (viridis)."""
SHADES = " .:-=+*#@"
"""The same without colours."""
REACH = 3
"""Powers of two on either side of the mean; what lies beyond takes the end of the scale."""
LEFT, RIGHT = 7, 9
"""Columns that a layer's number and its imbalance take."""
NARROWEST = 16


def heat_map(figures: Figures, width: int, *, colours: bool) -> Iterator[Text]:
    """Lines of at most `width` columns (but never fewer cells than NARROWEST), and a legend."""
    counts, layers = figures.counts, figures.trace.layers
    experts = counts.shape[1]
    rows = -(-experts // max(width - LEFT - RIGHT, NARROWEST))
    # two rows of cells share a line: a character's upper and lower half
    deep = 2 if colours and rows > 1 else 1
    lines = -(-rows // deep)
    across = -(-experts // (lines * deep))
    yield Text(f"{'layer':{LEFT}}{'':{across}}{'max/mean':>{RIGHT}}", style="dim")
    for number, uses, imbalance in zip(layers, counts, figures.imbalance, strict=True):
        levels = [level(use / uses.mean()) for use in uses.tolist()]
        for line, text in enumerate(_lines(levels, across, deep, colours=colours)):
            head = f"{number:>{LEFT - 2}}  " if line == 0 else " " * LEFT
            tail = f"{imbalance:>{RIGHT}.1f}" if line == 0 else ""
            yield Text.assemble(head, text, tail)
    yield legend(experts, across, colours=colours)


def legend(experts: int, across: int, *, colours: bool) -> Text:
    scale = next(_lines([i / 8 for i in range(9)], 9, 1, colours=colours))
    folded = "" if across >= experts else f"; {-(-experts // across)} rows of {across} a layer"
    return Text.assemble(" " * LEFT, "1/8 ", scale, f" 8 times the layer's mean{folded}")


def level(ratio: float) -> float:
    """From 0 to 1: where a use over the mean lies on the scale."""
    if ratio <= 0:
        return 0.0
    return min(max((log2(ratio) + REACH) / (2 * REACH), 0.0), 1.0)


def _lines(levels: Sequence[float], across: int, deep: int, *, colours: bool) -> Iterator[Text]:
    for begin in range(0, len(levels), across * deep):
        upper = levels[begin : begin + across]
        lower = levels[begin + across : begin + 2 * across] if deep == 2 else ()
        yield _halves(upper, lower) if colours else Text("".join(map(_shade, upper)))


def _shade(at: float) -> str:
    return SHADES[min(int(at * len(SHADES)), len(SHADES) - 1)]


def _halves(upper: Sequence[float], lower: Sequence[float]) -> Text:
    text = Text()
    for place, at in enumerate(upper):
        if not lower:
            text.append("█", Style(color=colour(at)))
        elif place < len(lower):
            text.append("▀", Style(color=colour(at), bgcolor=colour(lower[place])))
        else:
            text.append("▀", Style(color=colour(at)))
    return text


def colour(at: float) -> Color:
    """Between the palette's two nearest colours."""
    place = at * (len(PALETTE) - 1)
    below = min(int(place), len(PALETTE) - 2)
    part = place - below
    ends = (Color.parse(PALETTE[below + i]).get_truecolor() for i in range(2))
    mixed = [round(a + (b - a) * part) for a, b in zip(*ends, strict=True)]
    return Color.from_rgb(*mixed)
