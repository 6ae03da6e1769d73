"""Weights as whole numbers with a scale for each group of a row: what GPTQ, AWQ and others share.

A weight is scale * (code - zero). Nothing is rounded: fp16 scales are kept with the zero as it is;
bf16 and fp32 scales become fp32, and the zero the minimum -(scale * zero), where that is exact.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.hf_sheets import Numbers, Rounded
from farthing.formats.types import ALL, Vector
from farthing.weight import Form, Matrix

Bits = Literal[4, 8]
_BITS: dict[Any, Bits] = {4: 4, 8: 8}
_GROUPS: dict[int, Literal[32, 64]] = {32: 32, 64: 64}
LARGE: Literal[128] = 128
"""The largest group of a form; larger ones that it divides repeat their scale."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """Of some matrices: bits a code, columns that share a scale (0: the whole row), and whether the
    zero is the middle of the codes, so that none need be kept."""

    bits: Bits
    group: int
    symmetric: bool

    def groups(self, columns: int) -> int:
        """How many scales a row of that many columns has."""
        return -(-columns // self.group) if self.group else 1

    def form(self, dtype: str) -> Form:
        """What its matrices become where scales are of that dtype."""
        f16 = dtype == "F16"
        return Form(
            bits=self.bits,
            group=_GROUPS.get(self.group, LARGE),
            scale="f16" if f16 else "f32",
            offset="none" if self.symmetric else "zero" if f16 else "min",
        )

    def spread(self, values: NDArray[Any], columns: int) -> NDArray[Any]:
        """One number a group of the file [n, ..] -> one a group of the form."""
        if self.group in _GROUPS:
            return values
        times = (self.group or columns + LARGE) // LARGE
        return np.repeat(values, times, 1)[:, : -(-columns // LARGE)]


class Origin(Protocol):
    """Codes and zeros where they lie in a file, unpacked for some rows (outputs) when asked."""

    def codes(self, rows: slice) -> NDArray[np.uint8]:
        """[n, K]"""
        ...

    def zeros(self, rows: slice) -> NDArray[np.uint8] | None:
        """[n, G] of the file's groups; None if the file has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """A matrix [N, K], or some of its rows. Implements `hf_sheets.Sheet`.

    scales [N, G] of the whole matrix. Reading raises FormatError if zeros of a symmetric one are
    not the middle, or if fp32 scales times zeros are not exact.
    """

    what: str
    scheme: Scheme
    columns: int
    scales: Numbers
    origin: Origin
    rows: range

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.columns

    @property
    def form(self) -> Form:
        return self.scheme.form(self.scales.dtype)

    def read(self, rows: slice = ALL) -> Matrix:
        part = self.rows[rows]
        at = slice(part.start, part.stop, part.step)
        scale, zero = self.scales.read(at), self.origin.zeros(at)
        fields = self._offsets(scale, zero)
        kept = scale.astype(np.float16) if self.form.scale == "f16" else scale
        return Matrix(
            form=self.form,
            codes=self.origin.codes(at),
            scale=self.scheme.spread(kept, self.columns),
            **{name: self.scheme.spread(x, self.columns) for name, x in fields.items()},
        )

    def values(self) -> Vector:
        return self.read().dequantize()

    def part(self, rows: slice) -> "Codes":
        return replace(self, rows=self.rows[rows])

    def turned(self) -> Rounded:
        return Rounded(self, turn=True)

    def _offsets(
        self, scale: NDArray[np.float32], zero: NDArray[np.uint8] | None
    ) -> dict[str, NDArray[Any]]:
        if self.scheme.symmetric:
            self._check_middle(zero)
            return {}
        assert zero is not None
        if self.form.offset == "zero":
            return {"zero": zero.astype(np.float16)}
        exact = -(scale.astype(np.float64) * zero)
        minimum = exact.astype(np.float32)
        if not np.array_equal(exact, minimum, equal_nan=True):
            raise FormatError(
                f"{self.what}: fp32 scales whose products with their zeros are not exact in fp32;"
                f" such a file can't be read without rounding: pull one with fp16 or bf16 scales"
            )
        return {"minimum": minimum}

    def _check_middle(self, zero: NDArray[np.uint8] | None) -> None:
        middle = 1 << (self.scheme.bits - 1)
        if zero is not None and np.any(zero != middle):
            found = int(zero[zero != middle][0])
            raise FormatError(
                f"{self.what}: a zero of {found}, but config.json calls the codes symmetric, which"
                f" makes it {middle}; correct config.json or pull the model again"
            )


def scheme(what: str, bits: Any, group: Any, symmetric: Any) -> Scheme:
    """Of settings as files give them; group -1 is the whole row.

    Raises FormatError, beginning with `what`, for sizes that are not read.
    """
    if type(bits) is not int or bits not in _BITS:
        raise FormatError(f"{what}: {bits!r:.80} bits a weight; 4 and 8 are read")
    if type(group) is not int or not (group in (-1, 32, 64) or 0 < group < 1 << 31):
        raise FormatError(f"{what}: a group of {group!r:.80}; 32, 64, 128 or -1 expected")
    if group not in (-1, 32, 64) and group % LARGE:
        raise FormatError(
            f"{what}: groups of {group}; read are 32, 64, multiples of {LARGE} and -1 (the row)"
        )
    if not isinstance(symmetric, bool):
        raise FormatError(f"{what}: symmetric is {symmetric!r:.80}; true or false expected")
    return Scheme(_BITS[bits], max(group, 0), symmetric)


def unpacked(words: NDArray[np.uint32], bits: Bits) -> NDArray[np.uint8]:
    """[.., n] words -> [.., 32 / bits * n] codes, the lowest bits first."""
    octets = np.ascontiguousarray(words).view(np.uint8)
    if bits == 8:
        return octets
    return np.stack([octets & 15, octets >> 4], -1).reshape(*octets.shape[:-1], -1)


def words_for(codes: int, bits: Bits) -> int:
    return -(-codes * bits // 32)


def check_shape(what: str, kind: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise FormatError(f"{what}: {kind} {list(found)}; {list(expected)} expected")
