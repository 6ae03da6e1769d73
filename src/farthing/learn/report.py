"""What a run's log shows: its curves as one picture, and its last figures. Imports no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from farthing.errors import FormatError, InputError, NotFound
from farthing.learn import journal, live
from farthing.learn.journal import Line
from farthing.learn.shortened import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DOTS = (11.0, 8.0), 110
POINTS = 1500
"""Of a curve: more than a screen shows."""
PALE, STRONG, OTHER = "#aed6f1", "#21618c", "#ca6f1e"
HELD_OUT = ("#ca6f1e", "#1e8449", "#7d3c98", "#b03a2e", "#566573")
GRID = "#d5d8dc"


@dataclass(frozen=True, slots=True)
class History:
    folder: Path
    facts: dict[str, Any]
    lines: list[Line]
    recipe: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises NotFound if the folder holds no run, InputError if it has no step yet or is of
        another kind, FormatError if its files are damaged."""
        try:
            facts = json.loads((folder / "facts.json").read_bytes())
            recipe = (folder / "recipe.toml").read_text()
        except FileNotFoundError:
            if (folder / "log.jsonl").is_file():
                raise InputError(
                    f"{folder} holds no run of pretrain or distil, which alone are drawn; a tuning"
                    " run's figures are the lines of its log.jsonl"
                ) from None
            raise NotFound(f"{folder} holds no run; `farthing learn pretrain` makes them") from None
        except (OSError, ValueError) as error:
            raise FormatError(f"{folder} can't be read as a run: {error}") from None
        lines = list(journal.lines(folder / "log.jsonl"))
        if not lines:
            raise InputError(f"{folder} has no step yet; look again later")
        return cls(folder, facts, lines, recipe)

    @property
    def last(self) -> Line:
        return self.lines[-1]

    @property
    def looks(self) -> list[Line]:
        """Lines of steps after which held-out text was looked at."""
        return [line for line in self.lines if "held_out" in line]

    def loss(self) -> float:
        """In nats a token, mean of the last hundredth of the steps."""
        last = self.lines[-max(1, len(self.lines) // 100) :]
        return sum(float(line["loss"]) for line in last) / len(last)

    def speed(self) -> float:
        """Tokens a second over the whole run, without what was done between steps."""
        step = float(self.last["tokens"]) / int(self.last["step"])
        return step * len(self.lines) / sum(float(line["seconds"]) for line in self.lines)

    def share(self) -> float:
        return live.share(self.facts, self.speed())

    def cpu(self) -> float:
        """Seconds of processor time that the steps took, on all threads of this process."""
        return sum(float(line.get("cpu", 0.0)) for line in self.lines)

    def balance_after(self, share: float) -> float | None:
        """The mean over later steps of the largest load over the mean, in the worst layer."""
        found = live.uneven(self.lines, share * self.facts["steps"])
        return found[1] if found else None


def check() -> None:
    """InputError if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "the report's curves need matplotlib, which is not installed:"
            " `pip install 'farthing[learn]'`"
        )


def draw(history: History) -> bytes:
    """A PNG of four panels: losses, expert balance, speed, rate and gradients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    (first, second), (third, fourth) = figure.subplots(2, 2)
    _losses(first, history)
    _balance(second, history)
    _speed(third, history)
    _rate(fourth, history)
    for axes in (first, second, third, fourth):
        _bare(axes)
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def smooth(values: Sequence[float], window: int) -> list[float]:
    """The running mean with the memory of `window` values, unbiased at the start."""
    kept, weight, out = 0.0, 0.0, []
    keep = 1 - 1 / max(1, window)
    for value in values:
        kept, weight = keep * kept + (1 - keep) * value, keep * weight + (1 - keep)
        out.append(kept / weight)
    return out


def _losses(axes: "Axes", history: History) -> None:
    axes.set_title("loss, nats a token", loc="left", fontsize=11)
    lines = history.lines
    tokens = [line["tokens"] for line in lines]
    window = max(1, len(lines) // 100)
    _curve(axes, tokens, [line["loss"] for line in lines], window, "training")
    if lines[0]["next_token"] is not None:
        further = smooth([line["next_token"] for line in lines], window)
        axes.plot(*_thinned(tokens, further), color=GRID, label="one token further")
    looks = history.looks
    names = shortened(looks[-1]["held_out"] if looks else ())
    for place, name in enumerate(names):
        label, color = f"held out: {names[name]}", HELD_OUT[place % len(HELD_OUT)]
        found = [(line["tokens"], line["held_out"].get(name)) for line in looks]
        points = [(at, one["loss"]) for at, one in found if one is not None]
        axes.plot(*zip(*points, strict=True), "o-", color=color, markersize=3, label=label)
    _within(axes, lines)
    axes.legend(frameon=False, fontsize=8)


def _balance(axes: "Axes", history: History) -> None:
    axes.set_title("busiest expert's load over the mean, by layer", loc="left", fontsize=11)
    layers = list(history.last["imbalance"])
    if not layers:
        axes.text(0.5, 0.5, "no routed experts", ha="center", transform=axes.transAxes)
        return
    tokens = [line["tokens"] for line in history.lines]
    for place, layer in enumerate(layers):
        values = [line["imbalance"].get(layer, 1.0) for line in history.lines]
        found = smooth(values, max(1, len(values) // 100))
        pale = 0.35 + 0.65 * (place + 1) / len(layers)
        axes.plot(*_thinned(tokens, found), color=STRONG, alpha=pale, label=live.layer(layer))
    axes.axhline(1.5, color=OTHER, linewidth=0.8, linestyle=":")
    axes.legend(frameon=False, fontsize=8)


def _speed(axes: "Axes", history: History) -> None:
    axes.set_title("share of the measured bf16 matmul peak, %", loc="left", fontsize=11)
    tokens = [line["tokens"] for line in history.lines]
    step = float(history.last["tokens"]) / int(history.last["step"])
    shares = [100 * live.share(history.facts, step / line["seconds"]) for line in history.lines]
    _curve(axes, tokens, shares, max(1, len(shares) // 100), "of a step")
    axes.set_ylim(bottom=0)


def _rate(axes: "Axes", history: History) -> None:
    axes.set_title("learning rate, and the gradients' norm (right)", loc="left", fontsize=11)
    tokens = [line["tokens"] for line in history.lines]
    axes.plot(*_thinned(tokens, [line["rate"] for line in history.lines]), color=OTHER)
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    norms = [line["norm"] for line in history.lines]
    _curve(other, tokens, norms, max(1, len(norms) // 100), "norm")
    other.set_yscale("log")


def _curve(axes: "Axes", x: Sequence[float], y: Sequence[float], window: int, name: str) -> None:
    axes.plot(*_thinned(x, y), color=PALE, linewidth=0.7)
    axes.plot(*_thinned(x, smooth(y, window)), color=STRONG, label=name)


def _thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    every = -(-len(x) // POINTS)
    return list(x[::every]), list(y[::every])


def _within(axes: "Axes", lines: Sequence[Line]) -> None:
    """The first steps' fall would flatten all that follows, held-out losses included."""
    later = lines[len(lines) // 20 :]
    settled = [float(line["loss"]) for line in later]
    settled += [one["loss"] for line in later for one in line.get("held_out", {}).values()]
    margin = 0.05 * (max(settled) - min(settled)) + 0.02
    axes.set_ylim(min(settled) - margin, max(settled) + margin)


def _bare(axes: "Axes") -> None:
    axes.set_xlabel("tokens")
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
