"""One matrix of weights: its form, its numbers row by row, and the packed bytes the kernels read.

Knows nothing of files or of models. Shapes: N rows (outputs), K columns (inputs), G groups of
inputs in a row, S super-groups of 256 inputs.

The packed bytes hold blocks of 16 rows, one block after another, each a multiple of 64 bytes:

    codes    4 bits   [K/8][16][4] bytes, byte (j, r, b) = code[r][8j+b] | code[r][8j+4+b] << 4
             8 bits   [K/4][16][4] bytes
             16 bits  [K/2][16][2] bf16
    scales   [G][16] fp16, fp32 or e8m0; two-level: [S][16] fp16, then [G][16] int8 or uint8
    minima   like scales, where the form has them; zeros too, as fp16

K is rounded up to 32, rows to 16. Padding rows have scale zero, padding columns meet zero inputs.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError

ROWS = 16
COLUMNS = 32
SUPER = 256

Scale = Literal["none", "f16", "f32", "e8m0", "two_level"]
Offset = Literal["none", "min", "zero"]
Lookup = Literal["none", "e2m1"]

TWICE = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.int16)
"""Twice the value of each E2M1 code: a sign, two bits of exponent, one of mantissa (OCP MX 1.0)."""
ZERO = 2048
"""The largest zero: whole numbers up to here are exact in fp16, and their products in fp32."""
NAN = 255
"""The one e8m0 scale that is no power of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the numbers of one matrix are stored.

    A weight is `scale * (code - bias)`, where bias is 8 or 128; with a minimum it is
    `scale * code + minimum`, with a zero (a whole number, one a group) `scale * (code - zero)`.
    Two-level (Q4_K and its kin): scale = super_scale * sub_scale and
    minimum = -(super_minimum * sub_minimum), sub-values being whole numbers.
    With lookup "e2m1" a weight is `scale * value`, the value a 4-bit float that the code names.
    Scale "e8m0" is a power of two, its exponent in a byte, biased by 127.
    bits = 16 is bf16, and has no scale.
    """

    bits: Literal[4, 8, 16]
    group: Literal[0, 16, 32, 64, 128]
    scale: Scale
    offset: Offset
    lookup: Lookup = "none"

    @property
    def name(self) -> str:
        """What the native side calls it, the group apart: "4-two_level-min", "4-e8m0-e2m1"."""
        parts = (f"{self.bits}-{self.scale}", self.offset, self.lookup)
        return "-".join(part for part in parts if part != "none")

    @property
    def bias(self) -> int:
        if self.offset != "none" or self.lookup != "none" or self.bits == 16:
            return 0
        return 1 << (self.bits - 1)

    def block_bytes(self, columns: int) -> int:
        """Bytes of 16 packed rows."""
        k = _up(columns, COLUMNS)
        total = ROWS * k * self.bits // 8
        if self.bits < 16:
            groups, supers = -(-columns // self.group), -(-columns // SUPER)
            one = {
                "f16": 2 * groups,
                "f32": 4 * groups,
                "e8m0": groups,
                "two_level": 2 * supers + groups,
                "none": 0,
            }[self.scale]
            total += ROWS * one * (2 if self.offset != "none" else 1)
        return _up(total, 64)

    def bytes(self, rows: int, columns: int) -> int:
        return _up(rows, ROWS) // ROWS * self.block_bytes(columns)


BF16 = Form(bits=16, group=0, scale="none", offset="none")
E2M1 = Form(bits=4, group=32, scale="e8m0", offset="none", lookup="e2m1")
"""MXFP4, as gpt-oss is published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The numbers of one matrix, row by row. Not packed: what files hold and the reference reads.

    codes [N, K] uint8, or uint16 holding bf16 when form.bits is 16.
    scale, minimum [N, G]: fp16, fp32, e8m0 (uint8), or whole numbers (int8, uint8) if two-level.
    zero [N, G] fp16, whole numbers up to ZERO: the code that means nothing.
    super_scale, super_minimum [N, S] fp16, two-level only.
    """

    form: Form
    codes: NDArray[Any]
    scale: NDArray[Any] | None = None
    minimum: NDArray[Any] | None = None
    zero: NDArray[np.float16] | None = None
    super_scale: NDArray[np.float16] | None = None
    super_minimum: NDArray[np.float16] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.codes.shape[0], self.codes.shape[1]

    def whole(self) -> NDArray[np.int16]:
        """The codes as whole numbers [N, K]: weight = scale * whole + minimum, those of `groups`.

        Codes less their bias; of E2M1, twice the value (-12 to 12), and `groups` halves the scale.
        """
        if self.form.lookup == "e2m1":
            twice: NDArray[np.int16] = TWICE[self.codes]
            return twice
        return self.codes.astype(np.int16) - np.int16(self.form.bias)

    def groups(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scale and minimum of each group as fp32 [N, G]: weight = scale * whole + minimum.

        Half the smallest e8m0 scale is 2^-128: subnormal, and exact.
        """
        assert self.scale is not None
        scale = self.scale.astype(np.float32)
        if self.form.scale == "e8m0":
            scale = powers(self.scale)
        if self.form.lookup == "e2m1":
            scale = scale * np.float32(0.5)
        if self.super_scale is not None:
            scale = scale * self._spread(self.super_scale)
        if self.form.offset == "none":
            return scale, np.zeros_like(scale)
        if self.zero is not None:
            # exact: 11 bits of scale by 11 of a whole number
            return scale, -(scale * self.zero.astype(np.float32))
        assert self.minimum is not None
        minimum = self.minimum.astype(np.float32)
        if self.super_minimum is not None:
            minimum = -(minimum * self._spread(self.super_minimum))
        return scale, minimum

    def dequantize(self) -> NDArray[np.float32]:
        """The weights as fp32 [N, K]. Every product is exact but the sum with a minimum."""
        if self.form.bits == 16:
            return bf16_to_f32(self.codes)
        columns = self.shape[1]
        scale, minimum = (np.repeat(x, self.form.group, 1)[:, :columns] for x in self.groups())
        weights = scale * self.whole().astype(np.float32)
        return weights if self.form.offset == "none" else weights + minimum

    def _spread(self, of_supers: NDArray[np.float16]) -> NDArray[np.float32]:
        assert self.scale is not None
        return np.repeat(of_supers.astype(np.float32), SUPER // self.form.group, 1)[
            :, : self.scale.shape[1]
        ]


def dense(values: NDArray[np.float32]) -> Matrix:
    """bf16 from fp32 [N, K], rounded to the nearest, ties to even."""
    return Matrix(form=BF16, codes=f32_to_bf16(values))


def pack(matrix: Matrix) -> NDArray[np.uint8]:
    """The packed bytes of a matrix: uint8 [form.bytes(N, K)]."""
    form, (n, k) = matrix.form, matrix.shape
    blocks, k32 = _up(n, ROWS) // ROWS, _up(k, COLUMNS)
    per = {4: 8, 8: 4, 16: 2}[form.bits]
    codes = np.zeros((blocks * ROWS, k32), matrix.codes.dtype)
    codes[:n, :k] = matrix.codes
    # [block, row, step of the input, place in it] -> [block, step, row, place]
    codes = codes.reshape(blocks, ROWS, k32 // per, per).transpose(0, 2, 1, 3)
    if form.bits == 4:
        codes = codes[..., :4] | codes[..., 4:] << 4
    parts = [codes]
    offsets = (matrix.super_minimum, matrix.minimum, matrix.zero)
    for values in (matrix.super_scale, matrix.scale, *offsets):
        if values is not None:
            parts.append(_interleave(values, blocks))
    out = np.zeros((blocks, form.block_bytes(k)), np.uint8)
    at = 0
    for part in parts:
        flat = np.ascontiguousarray(part).reshape(blocks, -1).view(np.uint8)
        out[:, at : at + flat.shape[1]] = flat
        at += flat.shape[1]
    return out.reshape(-1)


def unpack(data: NDArray[np.uint8], form: Form, rows: int, columns: int) -> Matrix:
    """The inverse of `pack`. Raises FormatError if the bytes are not as many as the form says."""
    if data.size != form.bytes(rows, columns):
        raise FormatError(
            f"{data.size} bytes for a {rows} x {columns} matrix of {form}, which takes"
            f" {form.bytes(rows, columns)}; pack the model again"
        )
    blocks, k32 = _up(rows, ROWS) // ROWS, _up(columns, COLUMNS)
    lines = data.reshape(blocks, -1)
    at = 0

    def take(width: int, kind: Any) -> NDArray[Any]:
        nonlocal at
        size = width * ROWS * np.dtype(kind).itemsize
        part: NDArray[Any] = np.ascontiguousarray(lines[:, at : at + size]).view(kind)
        at += size
        return part.reshape(blocks, width, ROWS).transpose(0, 2, 1).reshape(-1, width)[:rows]

    per = {4: 8, 8: 4, 16: 2}[form.bits]
    code = np.uint16 if form.bits == 16 else np.uint8
    size = ROWS * k32 * form.bits // 8
    raw: NDArray[Any] = np.ascontiguousarray(lines[:, :size]).view(code)
    raw = raw.reshape(blocks, k32 // per, ROWS, -1)
    if form.bits == 4:
        raw = np.concatenate([raw & 15, raw >> 4], -1)
    codes = raw.transpose(0, 2, 1, 3).reshape(blocks * ROWS, k32)[:rows, :columns].copy()
    at = size
    if form.bits == 16:
        return Matrix(form=form, codes=codes)
    groups, supers = -(-columns // form.group), -(-columns // SUPER)
    kinds = {"f16": np.float16, "f32": np.float32, "e8m0": np.uint8}
    two = form.scale == "two_level"
    low = kinds.get(form.scale, np.uint8 if form.offset == "min" else np.int8)
    fields: dict[str, Any] = {}
    names = {"none": ("scale",), "min": ("scale", "minimum"), "zero": ("scale", "zero")}
    for name in names[form.offset]:
        if two:
            fields[f"super_{name}"] = take(supers, np.float16)
        fields[name] = take(groups, np.float16 if name == "zero" else low)
    return Matrix(form=form, codes=codes, **fields)


def f32_to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def bf16_to_f32(codes: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (codes.astype(np.uint32) << 16).view(np.float32)


def powers(exponents: NDArray[np.uint8]) -> NDArray[np.float32]:
    """e8m0: 2^(exponent - 127)."""
    # the exponent's place in fp32; 2^-127 is subnormal there
    bits = np.maximum(exponents.astype(np.uint32) << 23, np.uint32(1 << 22))
    return np.where(exponents == NAN, np.float32(np.nan), bits.view(np.float32))


def _interleave(values: NDArray[Any], blocks: int) -> NDArray[Any]:
    """[N, G] -> [block, G, 16], padding rows zero."""
    padded = np.zeros((blocks * ROWS, values.shape[1]), values.dtype)
    padded[: len(values)] = values
    return padded.reshape(blocks, ROWS, -1).transpose(0, 2, 1)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
