"""FP8 weights with one scale for each block of rows and columns, as DeepSeek-V3 publishes them.

A code is E4M3FN: sign, 4 bits of exponent with bias 7, 3 of mantissa; no infinity, 0x7F and 0xFF
are NaN. A weight is its code's number times its block's scale (that the tensor is called
`weight_scale_inv` notwithstanding).
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.types import ALL
from farthing.weight import BF16, Form, Matrix, dense

NAN = 0x7F


def _e4m3() -> NDArray[np.float32]:
    """The number of each code, fp32 [256]."""
    codes = np.arange(256)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    normal = np.ldexp(8.0 + mantissa, exponent - 10)
    magnitude = np.where(exponent == 0, np.ldexp(mantissa.astype(float), -9), normal)
    magnitude[codes & NAN == NAN] = np.nan
    signed: NDArray[np.float32] = np.where(codes < 128, magnitude, -magnitude).astype(np.float32)
    return signed


E4M3 = _e4m3()


class Scales(Protocol):
    """Numbers of a file, read when they are needed."""

    @property
    def raw(self) -> NDArray[Any]: ...

    def read(self) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Fp8:
    """A matrix that becomes bf16. Implements `hf_sheets.Sheet`.

    codes [N, K] uint8, the rows from `first` on of a matrix with scales [.., ceil(K / block[1])],
    one row of them for block[0] rows of codes. The product is rounded to fp32 and then to bf16,
    both to nearest, ties to even: the numbers that transformers gets. What it loses is what bf16
    does, at most 2^-8 of a weight. Reading raises FormatError for a NaN code, or a scale that is
    not finite.
    """

    what: str
    codes: NDArray[np.uint8]
    scales: Scales
    block: tuple[int, int]
    first: int = 0
    turn: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.codes.shape
        return (columns, rows) if self.turn else (rows, columns)

    @property
    def form(self) -> Form:
        return BF16

    def read(self, rows: slice = ALL) -> Matrix:
        return dense(self._values(ALL).T[rows] if self.turn else self._values(rows))

    def values(self) -> NDArray[np.float32]:
        """The product in fp32, not rounded further."""
        held = self._values(ALL)
        return np.ascontiguousarray(held.T) if self.turn else held

    def part(self, rows: slice) -> "Fp8":
        assert not self.turn, "rows are taken before the transpose"
        return replace(self, codes=self.codes[rows], first=self.first + self._start(rows))

    def turned(self) -> "Fp8":
        return replace(self, turn=not self.turn)

    def _start(self, rows: slice) -> int:
        start, _, step = rows.indices(len(self.codes))
        assert step == 1
        return start

    def _values(self, rows: slice) -> NDArray[np.float32]:
        codes = self.codes[rows]
        places = self.first + self._start(rows) + np.arange(len(codes))
        scales = self.scales.read()[places // self.block[0]]
        if np.any(codes & NAN == NAN):
            raise FormatError(f"{self.what}: an FP8 code is NaN; the file is damaged")
        if not np.all(np.isfinite(scales)):
            raise FormatError(f"{self.what}: a scale is not finite; the file is damaged")
        values: NDArray[np.float32] = np.repeat(scales, self.block[1], 1)[:, : codes.shape[1]]
        with np.errstate(over="ignore"):
            values *= E4M3[codes]
        return values


def fp8(what: str, codes: NDArray[np.uint8], scales: Scales, block: tuple[int, int]) -> Fp8:
    """A matrix [N, K] and its scales [ceil(N / block[0]), ceil(K / block[1])].

    Raises FormatError, beginning with `what`, if the scales have another shape.
    """
    rows, columns = codes.shape
    expected = (-(-rows // block[0]), -(-columns // block[1]))
    if scales.raw.shape != expected:
        raise FormatError(
            f"{what}: scales {list(scales.raw.shape)} for {rows} x {columns} in blocks of"
            f" {block[0]} x {block[1]}; {list(expected)} expected"
        )
    return Fp8(what, codes, scales, block)
