"""The weights of the section in hand: read when asked for, changed, quantized and written down.

Shapes: N outputs, K inputs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from farthing.errors import InputError
from farthing.formats.types import ALL, Tensors
from farthing.quantize.check import CALIBRATED, some_rows
from farthing.quantize.gptq import Factor, gptq
from farthing.quantize.moments import energy
from farthing.quantize.rtn import rtn
from farthing.quantize.sections import Standin
from farthing.quantize.types import Choice, Moments, Outcome, Weights
from farthing.quantize.work import ONE, Writer
from farthing.weight import Matrix


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

    def numbers(self, one: Standin, index: int | None = None) -> Weights:
        """fp32 [N, K] of a matrix, or of matrix `index` of a stack; vectors and tables whole."""
        key = one.name, _at(index)
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
        choice, (*_, n, k) = self.chosen[one.name], one.shape
        if choice.method == "keep":
            return
        self.told(label(one, index))
        lost = whole = 0.0
        made: list[Weights] = []
        for rows in some_rows(n, k):
            weight = self.rows(one, rows, index)
            with named(label(one, index)):
                matrix = rounded(weight, choice, moments, factor)
            if choice.method == "gptq" and factor is not None:
                weight = factor.aim(weight)
            self.writer.add(one.name, one.shape, matrix, _at(index))
            got = matrix.dequantize()
            lost += energy(got - weight, moments)
            whole += energy(weight, moments)
            heard(rows, got) if heard else made.append(got)
        if made:
            self.held[one.name, _at(index)] = made[0] if len(made) == 1 else np.concatenate(made)
        self.settled.add(one.name)
        outcome = Outcome(
            name=label(one, index),
            choice=choice,
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
