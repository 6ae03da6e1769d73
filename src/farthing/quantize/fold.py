"""AWQ's factors of a section, folded into what makes each input, so that nothing else changes.

A norm's weight takes them, or the rows of a matrix from which the input follows number by number:
a gated MLP's up, the values of attention with as many key heads, the values of a latent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from farthing.errors import FormatError
from farthing.ops.mixture import Activation
from farthing.ops.record import Note, Symbol
from farthing.quantize import awq
from farthing.quantize.desk import Desk, named
from farthing.quantize.sections import Section, Standin, activation_of
from farthing.quantize.types import Moments, Weights
from farthing.quantize.walk import Walk


@dataclass(frozen=True, slots=True)
class Fold:
    """All that read `symbol` are multiplied by its factors; `takers` are divided."""

    symbol: Symbol
    readers: list[Standin]
    takers: list[Standin]


def fold(walk: Walk) -> None:
    """Before anything of the section is quantized."""
    found = list(folds(walk.section, walk.desk))
    if not found:
        return
    # attention must not be kept: its values are about to be divided
    moments = walk.moments([one.symbol for one in found], keep=False)
    factors = [factors_of(walk.desk, one.readers, moments[one.symbol][0]) for one in found]
    for one, factor in zip(found, factors, strict=True):
        for reader in one.readers:
            walk.desk.change(reader, walk.desk.numbers(reader) * factor)
        for taker in one.takers:
            divide(walk.desk, taker, factor)


def factors_of(
    desk: Desk, readers: list[Standin], moments: Moments, index: int | None = None
) -> Weights:
    """[K] for the matrices that share an input."""
    form = desk.chosen[readers[0].name].form
    assert form is not None
    with named(readers[0].name):
        found = awq.scales([desk.numbers(one, index) for one in readers], form, moments)
    if not (np.isfinite(found).all() and found.min() > 0):
        raise FormatError(f"{readers[0].name}: its factors are from {found.min()} to {found.max()}")
    return found


def divide(desk: Desk, taker: Standin, factor: Weights) -> None:
    """Each number that the taker makes, by its factor: of a stack [h, N, K], h times N."""
    if len(taker.shape) == 3:
        parts = np.split(factor, taker.shape[0])
        for index, part in enumerate(parts):
            desk.change(taker, desk.numbers(taker, index) / part[:, None], index)
    else:
        per = factor[:, None] if len(taker.shape) == 2 else factor
        desk.change(taker, desk.numbers(taker) / per)


def linear_in_up(activation: Activation) -> bool:
    return activation.shift == 0 and activation.limit == np.inf


def folds(section: Section, desk: Desk) -> Iterator[Fold]:
    """Inputs all of whose readers want factors, and that something can make smaller."""
    readers: dict[Symbol, list[Note]] = {}
    for note in section.notes:
        for symbol in note.inputs:
            readers.setdefault(symbol, []).append(note)
    makers = {note.out: note for note in section.notes}
    for symbol, notes in readers.items():
        if symbol not in makers or symbol is section.out:
            continue
        if not all(n.name == "linear" and _wants(n.weights[0], desk) for n in notes):
            continue
        if takers := _takers(makers[symbol], makers, readers, desk):
            yield Fold(symbol, [note.weights[0] for note in notes], takers)


def _wants(one: Standin, desk: Desk) -> bool:
    return desk.chosen[one.name].method == "awq"


def _takers(
    maker: Note, makers: dict[Symbol, Note], readers: dict[Symbol, list[Note]], desk: Desk
) -> list[Standin]:
    """What to divide; nothing where no one can take the factors exactly."""
    if maker.name == "rms_norm":
        return [maker.weights[0]] if maker.settings["heads"] == 1 else []
    if maker.name == "head_linear":
        return _rounded(maker, desk)
    if maker.name == "silu_mul" and linear_in_up(activation_of(maker)):
        through = maker.inputs[1]
    elif maker.name == "attention" and maker.settings["heads"] == maker.settings["kv_heads"]:
        through = maker.inputs[2]
    else:
        return []
    if through in makers and makers[through].name == "linear" and readers[through] == [maker]:
        return _rounded(makers[through], desk)
    return []


def _rounded(maker: Note, desk: Desk) -> list[Standin]:
    """A matrix and its bias; a matrix that is kept would be rounded for nothing."""
    if desk.chosen[maker.weights[0].name].method == "keep":
        return []
    return [one for one in maker.weights if one is not None]
