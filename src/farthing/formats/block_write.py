"""Rows of a matrix as GGUF's blocks, the way back from `blocks`: exact, or refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.weight import Form, Matrix, bf16_to_f32

Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Kind:
    """A named format: `values` weights in `bytes` bytes, under the number that files give it.

    `encode` takes `what`, which errors begin with, and some rows; it gives uint8 [rows, bytes].
    """

    number: int
    name: str
    values: int
    bytes: int
    encode: Callable[[str, Matrix], Octets]

    def size(self, rows: int, columns: int) -> int:
        return rows * columns // self.values * self.bytes


def kind_of(what: str, form: Form, columns: int) -> Kind:
    """The block that holds a form exactly. FormatError, beginning with `what`, if none does."""
    if form.bits == 16:
        return BF16
    found = _KINDS.get((form.bits, form.offset))
    if found is None or form.lookup != "none" or form.scale not in ("f16", "f32"):
        raise FormatError(
            f"{what}: no block of Q4_0, Q4_1 and Q8_0 holds {form.name}; quantize it to 4 bits,"
            f" with a minimum or without, or to 8 bits without one"
        )
    if columns % found.values:
        raise FormatError(f"{what}: rows of {columns}; {found.name} takes multiples of 32 alone")
    return found


def _q4_0(what: str, matrix: Matrix) -> Octets:
    return _join(_half(what, matrix, matrix.scale), _nibbles(matrix.codes))


def _q4_1(what: str, matrix: Matrix) -> Octets:
    scale, minimum = (_half(what, matrix, x) for x in (matrix.scale, matrix.minimum))
    return _join(scale, minimum, _nibbles(matrix.codes))


def _q8_0(what: str, matrix: Matrix) -> Octets:
    codes = (matrix.codes ^ np.uint8(128)).reshape(len(matrix.codes), -1, 32)
    return _join(_half(what, matrix, matrix.scale), codes)


def _q8_0_of_4(what: str, matrix: Matrix) -> Octets:
    """Four bits about a zero of their own: their difference is a whole number of eight bits."""
    assert matrix.zero is not None
    zero = np.repeat(matrix.zero.astype(np.int16), matrix.form.group, 1)
    whole = matrix.codes.astype(np.int16) - zero[:, : matrix.shape[1]]
    if whole.min() < -128:
        raise FormatError(f"{what}: a zero of {int(zero.max())}, beyond what Q8_0 holds")
    codes = whole.astype(np.int8).view(np.uint8).reshape(len(whole), -1, 32)
    return _join(_half(what, matrix, matrix.scale), codes)


def _bf16(what: str, matrix: Matrix) -> Octets:
    return matrix.codes.astype("<u2").view(np.uint8)


def _f32(what: str, matrix: Matrix) -> Octets:
    return bf16_to_f32(matrix.codes).astype("<f4").view(np.uint8)


def _half(what: str, matrix: Matrix, values: NDArray[Any] | None) -> Octets:
    """[n, G] numbers of groups -> [n, blocks, 2], fp16, one for each 32 columns."""
    assert values is not None
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    if not np.array_equal(half.astype(np.float32), values, equal_nan=True):
        raise FormatError(f"{what}: fp32 scales that fp16 can't hold, which GGUF's blocks have")
    each = np.repeat(half, matrix.form.group // 32, 1)[:, : matrix.shape[1] // 32]
    return np.ascontiguousarray(each)[..., None].view(np.uint8)


def _nibbles(codes: NDArray[Any]) -> Octets:
    """[n, K] -> [n, blocks, 16]: the first half of 32 in the low bits, the second in the high."""
    blocks = codes.reshape(len(codes), -1, 2, 16)
    joined: Octets = (blocks[:, :, 0] | blocks[:, :, 1] << 4).astype(np.uint8)
    return joined


def _join(*parts: Octets) -> Octets:
    return np.concatenate(parts, -1).reshape(len(parts[0]), -1)


BF16 = Kind(30, "BF16", 1, 2, _bf16)
F32 = Kind(0, "F32", 1, 4, _f32)
Q8_0 = Kind(8, "Q8_0", 32, 34, _q8_0)
Q8_0_OF_4 = Kind(8, "Q8_0", 32, 34, _q8_0_of_4)
_KINDS: dict[tuple[int, str], Kind] = {
    (4, "none"): Kind(2, "Q4_0", 32, 18, _q4_0),
    (4, "min"): Kind(3, "Q4_1", 32, 20, _q4_1),
    (4, "zero"): Q8_0_OF_4,
    (8, "none"): Q8_0,
}
