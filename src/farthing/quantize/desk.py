"""The weights of the section in hand: read when asked for, changed, quantized and written down.

Shapes: N outputs, K inputs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np

from farthing.errors import InputError
from farthing.formats.types import ALL, Tensors
from farthing.quantize import beside
from farthing.quantize.check import CALIBRATED, some_rows
from farthing.quantize.gptq import Factor, gptq
from farthing.quantize.moments import energy
from farthing.quantize.rtn import rtn
from farthing.quantize.sections import Standin
from farthing.quantize.types import Choice, Method, Moments, Outcome, Weights
from farthing.quantize.work import ONE, Writer
from farthing.weight import Matrix


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows as they will be; the energy of their error and their own."""

    rows: slice
    matrix: Matrix
    got: Weights
    lost: float
    whole: float


class Desk:
    def __init__(
        self,
        source: Tensors,
        chosen: Mapping[str, Choice],
        writer: Writer,
        told: Callable[[str], None],
    ) -> None:
        self.source, self.chosen, self.writer, self.told = source, chosen, writer, told
        self.held: dict[tuple[str, int], Weights] = {}
        self.settled: set[str] = set()
        self._reading = Lock()

    def numbers(self, one: Standin, index: int | None = None) -> Weights:
        """fp32 [N, K] of a matrix, or of matrix `index` of a stack; vectors and tables whole."""
        key = one.name, _at(index)
        with self._reading:  # once, whichever thread asks first
            if key not in self.held:
                self.held[key] = self._read(one, index, ALL)
            return self.held[key]

    def change(self, one: Standin, values: Weights, index: int | None = None) -> None:
        """Other numbers take the tensor's place; a vector's are final."""
        self.held[one.name, _at(index)] = values
        if self.source.layout(one.name).form is None:
            self.writer.vector(one.name, values)

    def forget(self, one: Standin, index: int) -> None:
        self.held.pop((one.name, index), None)

    def waits(self, one: Standin) -> bool:
        """Whether it needs moments and has not had them."""
        return self.chosen[one.name].method in CALIBRATED and one.name not in self.settled

    def uses(self, method: Method) -> bool:
        """Whether anything in the model is quantized so."""
        return any(choice.method == method for choice in self.chosen.values())

    def settle(
        self,
        one: Standin,
        index: int | None = None,
        *,
        moments: Moments | None = None,
        factor: Factor | None = None,
        borrowed: int = 0,
        heard: Callable[[slice, Weights], None] | None = None,
    ) -> None:
        """Quantizes a matrix as chosen, some rows at a time. `heard` gets them as they will be;
        else they are held from now on."""
        if self.chosen[one.name].method == "keep":
            return
        self.told(label(one, index))
        pieces = self._pieces(one, index, moments, factor)
        self._down(one, index, pieces, moments, borrowed, heard)

    def settle_all(self, many: list[Standin], moments: Moments, factor: Factor | None) -> None:
        """Matrices that read one input, side by side."""
        self.told(many[0].name)
        made = beside.each(
            [partial(list[Piece], self._pieces(one, None, moments, factor)) for one in many]
        )
        for one, pieces in zip(many, made, strict=True):
            self._down(one, None, pieces, moments)

    def _pieces(
        self, one: Standin, index: int | None, moments: Moments | None, factor: Factor | None
    ) -> Iterator[Piece]:
        choice, (*_, n, k) = self.chosen[one.name], one.shape
        for rows in some_rows(n, k):
            weight = self.rows(one, rows, index)
            with named(label(one, index)):
                matrix = rounded(weight, choice, moments, factor)
            if choice.method == "gptq" and factor is not None:
                weight = factor.aim(weight)
            got = matrix.dequantize()
            yield Piece(rows, matrix, got, energy(got - weight, moments), energy(weight, moments))

    def _down(
        self,
        one: Standin,
        index: int | None,
        pieces: Iterable[Piece],
        moments: Moments | None,
        borrowed: int = 0,
        heard: Callable[[slice, Weights], None] | None = None,
    ) -> None:
        """Written, and held or heard of; and what came of it."""
        lost = whole = 0.0
        made: list[Weights] = []
        for piece in pieces:
            self.writer.add(one.name, one.shape, piece.matrix, _at(index))
            lost += piece.lost
            whole += piece.whole
            heard(piece.rows, piece.got) if heard else made.append(piece.got)
        if made:
            self.held[one.name, _at(index)] = made[0] if len(made) == 1 else np.concatenate(made)
        self.settled.add(one.name)
        outcome = Outcome(
            name=label(one, index),
            choice=self.chosen[one.name],
            error=lost / whole if whole else 0.0,
            seen=0 if moments is None else moments.count,
            borrowed=borrowed,
        )
        self.writer.index.outcomes.append(outcome)

    def rows(self, one: Standin, rows: slice, index: int | None = None) -> Weights:
        """Some rows as they are now, of a matrix that may be too large to hold."""
        held = self.held.get((one.name, _at(index)))
        return self._read(one, index, rows) if held is None else held[rows]

    def _read(self, one: Standin, index: int | None, rows: slice) -> Weights:
        found = self.source.tensor(one.name, rows, index)
        return found.dequantize() if isinstance(found, Matrix) else found


def rounded(
    weight: Weights, choice: Choice, moments: Moments | None, factor: Factor | None
) -> Matrix:
    assert choice.form is not None
    weight = np.ascontiguousarray(weight)
    if choice.method == "rtn":
        return rtn(weight, choice.form)
    assert moments is not None
    if choice.method == "awq":
        return rtn(weight, choice.form, np.ascontiguousarray(np.diag(moments.hessian)))
    return gptq(weight, choice.form, moments.hessian if factor is None else factor)


@contextmanager
def named(what: str) -> Iterator[None]:
    """Methods see numbers alone: errors say here whose they are."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def label(one: Standin, index: int | None) -> str:
    return one.name if index is None else f"{one.name}[{index}]"


def _at(index: int | None) -> int:
    return ONE if index is None else index
