"""The lossy levers that a model runs with, and what each of them was measured to cost.

A lever is a setting that changes the answers: see formats/quality.py. A row there counts if it is
of these very weights and, where the native side ran, of sums in the order of this build. What a set
of levers costs is told by a row that held all of them; losses are never added up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from farthing.config import EngineConfig
from farthing.engine.isa import choose_isa
from farthing.evaluate import opened
from farthing.evaluate.budget import Budget, ratio
from farthing.evaluate.kv import lever
from farthing.evaluate.opened import activations_of, weights_lever
from farthing.formats import packed, quality
from farthing.formats.quality import Interval, Quality, Row
from farthing.ops.isa import NUMERICS

NONE = Budget()

Levers = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Of one lever, or of all that are on together. `row` is None where that was never measured;
    `over` says where the loss is past the budget."""

    levers: Levers
    row: Row | None
    over: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        return self.row is not None and not self.over

    @property
    def named(self) -> str:
        return named(self.levers)

    @property
    def is_kv(self) -> bool:
        return list(self.levers) == ["kv"]

    @property
    def loss(self) -> str:
        """In words. Where no row held these levers alone: what they added to those before them, or
        the loss of all."""
        if self.row is None:
            return "not measured"
        others = {n: value for n, value in self.row.levers.items() if n not in self.levers}
        if not others:
            return told(self.row)
        if self.row.loss.added is None or [*self.row.levers][-1:] != [*self.levers]:
            return f"{told(self.row)}, with {named(others)}"
        return added(self.row)


def active(config: EngineConfig, folder: Path, rows: Sequence[Row] = ()) -> dict[str, str]:
    """The levers that a packed model runs with, by name.

    A form that somebody published is its own reference, so `weights` is a lever of what `farthing
    quantize` made, and where one of the `rows` that count tells what those weights cost. Raises
    NotFound or FormatError if the folder holds no model, or a damaged recipe.
    """
    of, on = opened.open(folder), {}
    if (folder / opened.RECIPE).is_file() or any("weights" in row.levers for row in rows):
        on["weights"] = weights_lever(of)
    on["activations"] = activations_of(of)
    if (kv := lever(folder, config.kv_bits)) is not None:
        on["kv"] = kv
    return on


def stale(row: Row, found: Quality, weights: str) -> str | None:
    """Why a row counts for nothing on these weights and in this build; None if it counts.
    `weights` is packed.identity of the folder."""
    if found.weights != weights:
        return "measured on other weights"
    if row.arithmetic == "native" and row.numerics != NUMERICS:
        return f"measured with sums in order {row.numerics}, and this build's is {NUMERICS}"
    return None


def counting(folder: Path) -> list[Row]:
    """The rows that count here. FormatError if quality.json is damaged."""
    found = quality.read(folder)
    if found is None:
        return []
    weights = packed.identity(folder)
    return [row for row in found.rows if stale(row, found, weights) is None]


def verdicts(rows: list[Row], on: Levers, budget: Budget = NONE) -> list[Verdict]:
    """One for each lever that is on, then, of several, one for all of them together."""
    sets = [{name: value} for name, value in on.items()]
    if len(sets) > 1:
        sets.append(dict(on))
    isa = choose_isa() if rows else None
    return [_verdict(rows, levers, budget, isa) for levers in sets]


def _verdict(rows: list[Row], levers: Levers, budget: Budget, isa: str | None) -> Verdict:
    row = nearest(rows, levers, isa)
    over = () if row is None else budget.over(row.loss)
    return Verdict(levers=levers, row=row, over=over)


def nearest(rows: list[Row], levers: Levers, isa: str | None) -> Row | None:
    """The row that held all these levers and the fewest others, on this instruction set if there is
    one; of several (other texts, say) the worst."""
    holding = [row for row in rows if _holds(row, levers)]
    fewest = min((len(row.levers) for row in holding), default=0)
    close = [row for row in holding if len(row.levers) == fewest]
    here = [row for row in close if row.isa in (None, isa)] or close
    return max(here, key=lambda row: row.loss.kl.mean, default=None)


def _holds(row: Row, levers: Levers) -> bool:
    # Which weights they are, the file's identity says; the lever's value is for people.
    return all(
        name in row.levers and (name == "weights" or row.levers[name] == value)
        for name, value in levers.items()
    )


def named(levers: Levers) -> str:
    """ "activations int8 and kv int4"."""
    return " and ".join(f"{plain(name)} {plain(value)}" for name, value in levers.items())


def told(row: Row) -> str:
    """What was lost, in a line."""
    loss = row.loss
    return f"KL {_span(loss.kl)}, same top {loss.same_top.mean:.1%}, perplexity x {ratio(loss):.4f}"


def added(row: Row) -> str:
    """What the last lever of a row added to the others, where that is known."""
    assert row.loss.added is not None
    before = dict(list(row.levers.items())[:-1])
    return f"adds KL {_span(row.loss.added)} to {named(before)}"


def _span(of: Interval) -> str:
    return f"{of.mean:.3g} ({of.low:.3g} to {of.high:.3g})"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A row for programs: what was lost, with these levers on. KL is in nats a token."""

    levers: dict[str, str]
    kl: float
    kl_interval: tuple[float, float]
    kl_added: float | None
    """Of kl, what the last lever added."""
    same_top: float
    perplexity_ratio: float
    against: str
    text: str
    tokens: int
    arithmetic: str
    instruction_set: str | None
    farthing: str
    measured: str


class Lever(msgspec.Struct, frozen=True):
    """One that is on. No loss: not measured."""

    lever: str
    value: str
    loss: Measured | None


def listed(found: Sequence[Verdict]) -> list[Lever]:
    """What `verdicts` gave, for programs."""
    return [
        Lever(name, value, measured(verdict.row))
        for verdict in found
        if len(verdict.levers) == 1
        for name, value in verdict.levers.items()
    ]


def together(found: Sequence[Verdict]) -> Measured | None:
    """What all that are on cost, of what `verdicts` gave."""
    return measured(found[-1].row) if found else None


def measured(row: Row | None) -> Measured | None:
    if row is None:
        return None
    loss = row.loss
    return Measured(
        levers=row.levers,
        kl=loss.kl.mean,
        kl_interval=(loss.kl.low, loss.kl.high),
        kl_added=None if loss.added is None else loss.added.mean,
        same_top=loss.same_top.mean,
        perplexity_ratio=ratio(loss),
        against=row.against.name,
        text=row.text.what,
        tokens=row.text.tokens,
        arithmetic=row.arithmetic,
        instruction_set=row.isa,
        farthing=row.farthing,
        measured=row.measured,
    )


def plain(text: str) -> str:
    """Text of a file on a terminal: nothing that moves its cursor, and no page of it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
