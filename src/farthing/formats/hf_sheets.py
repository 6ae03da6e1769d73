"""A tensor as it lies on disk, mapped and not yet read: a matrix, a stack of them, or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.formats.types import ALL, Layout, Vector
from farthing.weight import BF16, Form, Matrix, bf16_to_f32, dense, powers

FLOATS = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}
"""How NumPy sees each dtype of floats."""


class Sheet(Protocol):
    """One matrix [N, K]. Nothing is read before `read`."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def form(self) -> Form: ...

    def read(self, rows: slice = ALL) -> Matrix: ...

    def values(self) -> Vector:
        """[N, K] in fp32, with nothing rounded to bf16."""
        ...

    def part(self, rows: slice) -> "Sheet":
        """Some of the rows, with a step if need be."""
        ...

    def turned(self) -> "Sheet":
        """The transpose."""
        ...


@dataclass(frozen=True, slots=True)
class Floats:
    """A matrix of floats; those of F16 and F32 round to bf16."""

    dtype: str
    raw: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        return self.raw.shape[0], self.raw.shape[1]

    @property
    def form(self) -> Form:
        return BF16

    def read(self, rows: slice = ALL) -> Matrix:
        raw = np.ascontiguousarray(self.raw[rows])
        return Matrix(form=BF16, codes=raw) if self.dtype == "BF16" else dense(_f32(raw))

    def values(self) -> Vector:
        return Numbers(self.dtype, self.raw).read()

    def part(self, rows: slice) -> "Floats":
        return Floats(self.dtype, self.raw[rows])

    def turned(self) -> "Floats":
        return Floats(self.dtype, self.raw.T)


@dataclass(frozen=True, slots=True)
class Rounded:
    """A matrix in bf16, which it rounds to: a router, or the transpose of one whose groups can't
    lie across the rows."""

    sheet: Sheet
    turn: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.sheet.shape
        return (columns, rows) if self.turn else (rows, columns)

    @property
    def form(self) -> Form:
        return BF16

    def read(self, rows: slice = ALL) -> Matrix:
        if self.turn:
            return dense(np.ascontiguousarray(self.sheet.read().dequantize().T[rows]))
        return dense(self.sheet.read(rows).dequantize())

    def values(self) -> Vector:
        return np.ascontiguousarray(self.sheet.values().T) if self.turn else self.sheet.values()

    def part(self, rows: slice) -> "Rounded":
        assert not self.turn, "rows are taken before the transpose"
        return Rounded(self.sheet.part(rows))

    def turned(self) -> "Rounded":
        return Rounded(self.sheet, not self.turn)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector [N] or a table [E, N] of floats (or of E8M0), exact in fp32."""

    dtype: str
    raw: NDArray[Any]

    def read(self, rows: slice = ALL) -> Vector:
        raw = np.ascontiguousarray(self.raw[rows])
        if self.dtype == "F8_E8M0":
            return powers(raw)
        return bf16_to_f32(raw) if self.dtype == "BF16" else _f32(raw)


@dataclass(frozen=True, slots=True)
class Stack:
    """Matrices of one shape and form."""

    sheets: Sequence[Sheet]


Part = Sheet | Stack | Numbers


def layout_of(part: Part) -> Layout:
    if isinstance(part, Numbers):
        return Layout(part.raw.shape, None)
    if isinstance(part, Stack):
        return Layout((len(part.sheets), *part.sheets[0].shape), part.sheets[0].form)
    return Layout(part.shape, part.form)


def read(name: str, part: Part, rows: slice, index: int | None) -> Matrix | Vector:
    """See `formats.types.Tensors.tensor`."""
    if isinstance(part, Stack):
        assert index is not None, f"{name} is a stack: one of its matrices has to be named"
        return part.sheets[index].read(rows)
    assert index is None, f"{name} is no stack"
    return part.read(rows)


def values(name: str, part: Part, index: int | None) -> Vector:
    """See `formats.types.Checkpoint.values`."""
    if isinstance(part, Numbers):
        return part.read()
    if isinstance(part, Stack):
        assert index is not None, f"{name} is a stack: one of its matrices has to be named"
        return part.sheets[index].values()
    return part.values()


def _f32(raw: NDArray[Any]) -> Vector:
    return raw.astype(np.float32)
