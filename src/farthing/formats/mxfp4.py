"""FP4 weights, two in a byte, with a power of two for each 32: OCP's MXFP4, exactly.

A nibble is E2M1, its sign in bit 3 (0, .5, 1, 1.5, 2, 3, 4, 6); the low one of a byte is the even
element. A scale is E8M0: 2^(byte - 127), 255 being NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.types import ALL
from farthing.weight import E2M1, NAN, Form, Matrix


@dataclass(frozen=True, slots=True)
class Fp4:
    """A matrix, its codes and scales kept as they are. Implements `hf_sheets.Sheet`.

    packed [N, K/2] uint8; scales [N, K/32] uint8, or fp32 of the same value. Reading raises
    FormatError for a scale that is NaN, or as fp32 no power of two.
    """

    what: str
    packed: NDArray[np.uint8]
    scales: NDArray[np.uint8] | NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        return self.packed.shape[0], 2 * self.packed.shape[1]

    @property
    def form(self) -> Form:
        return E2M1

    def read(self, rows: slice = ALL) -> Matrix:
        packed, scales = self.packed[rows], e8m0(self.what, self.scales[rows])
        if np.any(scales == NAN):
            raise FormatError(f"{self.what}: a scale is NaN (E8M0 255); the file is damaged")
        codes = np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), self.shape[1])
        return Matrix(form=E2M1, codes=codes, scale=scales)

    def values(self) -> NDArray[np.float32]:
        return self.read().dequantize()

    def part(self, rows: slice) -> "Fp4":
        return Fp4(self.what, self.packed[rows], self.scales[rows])

    def turned(self) -> "Fp4":
        raise FormatError(f"{self.what}: is FP4, whose scales along rows a transpose cannot keep")


def fp4(
    what: str, packed: NDArray[np.uint8], scales: NDArray[np.uint8] | NDArray[np.float32]
) -> Fp4:
    """Packed [N, K/2] and scales [N, K/32]; FormatError, beginning with `what`, otherwise."""
    rows, half = packed.shape
    if scales.shape != (rows, half // 16) or half % 16:
        raise FormatError(
            f"{what}: scales {list(scales.shape)} for {rows} x {2 * half} numbers; one for each"
            f" 32 of a row expected"
        )
    return Fp4(what, packed, scales)


def e8m0(what: str, scales: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of scales, which a file may hold as fp32; FormatError unless powers of two."""
    scales = np.ascontiguousarray(scales)
    if scales.dtype == np.uint8:
        return scales
    bits = scales.view(np.uint32)
    exponent = bits >> 23
    if np.any(bits & 0x7FFFFF) or np.any(exponent == 0) or np.any(exponent >= NAN):
        raise FormatError(f"{what}: a scale is no power of two; FP4 takes no others")
    return exponent.astype(np.uint8)
