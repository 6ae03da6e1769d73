"""Runs side by side: held-out loss over compute, and what compute one needs to equal another."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any

from farthing.errors import FormatError, InputError
from farthing.learn.report import GRID, HELD_OUT, History
from farthing.learn.shortened import shortened

PANEL = (4.2, 3.6)
"""Inches."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a run's looks at one held-out corpus found. compute in operations, loss in nats."""

    compute: tuple[float, ...]
    loss: tuple[float, ...]

    @classmethod
    def of(cls, history: History, corpus: str) -> "Curve":
        looks = [line for line in history.looks if corpus in line["held_out"]]
        each = float(history.facts["flops_a_token"])
        return cls(
            tuple(each * float(line["tokens"]) for line in looks),
            tuple(float(line["held_out"][corpus]["loss"]) for line in looks),
        )

    def reaches(self, loss: float) -> float | None:
        """The compute after which it is at `loss` for the first time; None if it never is.

        Between two looks, on the straight line over the logarithm of compute.
        """
        before: tuple[float, float] | None = None
        for at, here in zip(self.compute, self.loss, strict=True):
            if here <= loss:
                if before is None:
                    return at
                share = (before[1] - loss) / (before[1] - here)
                return exp(log(before[0]) + share * (log(at) - log(before[0])))
            before = at, here
        return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of runs with the same held-out corpora; the first is held against each of the others."""

    runs: tuple[History, ...]
    corpora: tuple[str, ...]

    @classmethod
    def read(cls, folders: Sequence[Path]) -> "Comparison":
        """Raises what History.read raises; InputError if runs have no held-out text in common, or
        had other tokens under its name."""
        runs = tuple(History.read(folder) for folder in folders)
        looked = [set(run.looks[-1]["held_out"]) if run.looks else set() for run in runs]
        common = set.intersection(*looked)
        if not common:
            raise InputError(
                f"{' and '.join(str(folder) for folder in folders)} were never looked at with the"
                " same held-out text; they need the same [[data.held_out]]"
            )
        # as the first run's recipe has them
        corpora = tuple(n for n in runs[0].looks[-1]["held_out"] if n in common)
        _alike(runs, corpora)
        return cls(runs, corpora)

    def rows(self) -> list[dict[str, Any]]:
        """One for each run: figures, and for each corpus the loss at its end.

        Of the others also `first`: the compute at which the first run had that loss, over theirs.
        """
        first = {corpus: Curve.of(self.runs[0], corpus) for corpus in self.corpora}
        return [self._row(run, None if run is self.runs[0] else first) for run in self.runs]

    def _row(self, run: History, first: dict[str, Curve] | None) -> dict[str, Any]:
        curves = {corpus: Curve.of(run, corpus) for corpus in self.corpora}
        row: dict[str, Any] = {
            "run": run.facts["name"],
            "parameters": run.facts["parameters"],
            "active": run.facts["active"],
            "tokens": run.last["tokens"],
            "compute": float(run.facts["flops_a_token"]) * float(run.last["tokens"]),
            "loss": {corpus: curve.loss[-1] for corpus, curve in curves.items()},
        }
        if first is not None:
            reached = {c: first[c].reaches(curve.loss[-1]) for c, curve in curves.items()}
            row["first"] = {
                c: None if at is None else at / curves[c].compute[-1] for c, at in reached.items()
            }
        return row


def _alike(runs: Sequence[History], corpora: Sequence[str]) -> None:
    """A corpus of the same path may be another, in rows of another length."""
    first = _looked(runs[0], corpora)
    for run in runs[1:]:
        differ = [name for name, value in _looked(run, corpora).items() if value != first[name]]
        if differ:
            raise InputError(
                f"{run.folder} and {runs[0].folder} were looked at with other tokens:"
                f" {', '.join(differ)} differ; losses of the same held-out text can be compared,"
                " in rows of one length"
            )


def _looked(run: History, corpora: Sequence[str]) -> dict[str, Any]:
    try:
        looks = dict(run.facts["looks"])
        return {name: looks["corpora"][name] for name in corpora} | {
            f"{name} of a look": looks[name] for name in ("tokens", "length", "whole")
        }
    except (KeyError, TypeError) as error:
        raise FormatError(
            f"{run.folder}/facts.json does not say what the run was looked at with ({error}); go on"
            " with the run (--resume), which writes it"
        ) from None


def draw(comparison: Comparison, path: Path) -> None:
    """An SVG or PNG, by the path's end: a panel for each corpus, a curve for each run."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    width, height = PANEL
    corpora = comparison.corpora
    figure = Figure(figsize=(width * len(corpora), height), layout="constrained")
    names = shortened(corpora)
    (panels,) = figure.subplots(1, len(corpora), squeeze=False)
    for corpus, axes in zip(corpora, panels, strict=True):
        axes.set_title(f"held out: {names[corpus]}, nats a token", loc="left", fontsize=10)
        for place, run in enumerate(comparison.runs):
            curve, color = Curve.of(run, corpus), HELD_OUT[place % len(HELD_OUT)]
            axes.plot(
                curve.compute, curve.loss, "o-", color=color, markersize=3, label=run.facts["name"]
            )
        axes.set_xscale("log")
        # of what is left to itself, labels of two neighbours lie upon one another
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0e}".replace("e+", "e")))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("training compute, operations")
        axes.grid(color=GRID, linewidth=0.6, which="both")
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
