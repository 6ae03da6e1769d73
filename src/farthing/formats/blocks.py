"""GGUF's block formats: how the bytes of a row become codes and scales, exactly.

Knows nothing of files. `raw` is always [rows, blocks in a row, bytes of a block].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.weight import BF16, E2M1, Form, Matrix, bf16_to_f32, f32_to_bf16

Raw = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Block:
    """One named format: `values` weights in `bytes` bytes become a matrix of `form`."""

    name: str
    values: int
    bytes: int
    form: Form
    read: Callable[[Form, Raw], Matrix]

    def matrix(self, raw: Raw) -> Matrix:
        """The numbers of [rows, blocks, bytes]. F16 and F32 round to bf16; all else is exact."""
        return self.read(self.form, raw)

    def vector(self, raw: Raw) -> NDArray[np.float32]:
        """The numbers of one row as fp32, exact for F32, F16 and BF16."""
        return self.floats(raw.reshape(1, -1, self.bytes)).reshape(-1)

    def floats(self, raw: Raw) -> NDArray[np.float32]:
        """The numbers of [rows, blocks, bytes] as fp32, exact for F32, F16 and BF16."""
        if self.name in FLOATS:
            return _rows(FLOATS[self.name](raw))
        return self.matrix(raw).dequantize()


def _view(raw: Raw, start: int, stop: int, kind: str) -> NDArray[Any]:
    """The little-endian numbers in bytes start..stop of each block: [rows, blocks, count]."""
    return np.ascontiguousarray(raw[..., start:stop]).view(np.dtype("<" + kind))


def _halves(nibbles: Raw) -> Raw:
    """[..., 16] bytes -> [..., 32] codes: low nibbles are the first half, high the second."""
    return np.concatenate([nibbles & 15, nibbles >> 4], -1)


def _rows(codes: NDArray[Any]) -> NDArray[Any]:
    return codes.reshape(codes.shape[0], -1)


def _q4_0(form: Form, raw: Raw) -> Matrix:
    return Matrix(
        form=form, codes=_rows(_halves(raw[..., 2:])), scale=_rows(_view(raw, 0, 2, "f2"))
    )


def _q4_1(form: Form, raw: Raw) -> Matrix:
    scale, minimum = _rows(_view(raw, 0, 2, "f2")), _rows(_view(raw, 2, 4, "f2"))
    return Matrix(form=form, codes=_rows(_halves(raw[..., 4:])), scale=scale, minimum=minimum)


def _fifth_bits(raw: Raw) -> Raw:
    """4 bytes, bit j belongs to weight j -> [..., 32], 16 or 0."""
    return np.unpackbits(np.ascontiguousarray(raw), axis=-1, bitorder="little") * np.uint8(16)


def _q5_0(form: Form, raw: Raw) -> Matrix:
    codes = (_halves(raw[..., 6:]) | _fifth_bits(raw[..., 2:6])) + np.uint8(form.bias - 16)
    return Matrix(form=form, codes=_rows(codes), scale=_rows(_view(raw, 0, 2, "f2")))


def _q5_1(form: Form, raw: Raw) -> Matrix:
    scale, minimum = _rows(_view(raw, 0, 2, "f2")), _rows(_view(raw, 2, 4, "f2"))
    codes = _halves(raw[..., 8:]) | _fifth_bits(raw[..., 4:8])
    return Matrix(form=form, codes=_rows(codes), scale=scale, minimum=minimum)


def _q8_0(form: Form, raw: Raw) -> Matrix:
    codes = raw[..., 2:] ^ np.uint8(form.bias)  # int8 to biased: flip the sign bit
    return Matrix(form=form, codes=_rows(codes), scale=_rows(_view(raw, 0, 2, "f2")))


def _six_bits(b: Raw) -> tuple[Raw, Raw]:
    """12 bytes -> the 8 sub-scales and 8 sub-minima of 6 bits that Q4_K and Q5_K share."""
    low, mid, high = b[..., :4], b[..., 4:8], b[..., 8:]
    scale = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], -1)
    minimum = np.concatenate([mid & 63, (high >> 4) | (mid >> 6) << 4], -1)
    return scale, minimum


def _two_level(form: Form, raw: Raw, codes: Raw) -> Matrix:
    scale, minimum = _six_bits(raw[..., 4:16])
    return Matrix(
        form=form,
        codes=_rows(codes),
        scale=_rows(scale),
        minimum=_rows(minimum),
        super_scale=_rows(_view(raw, 0, 2, "f2")),
        super_minimum=_rows(_view(raw, 2, 4, "f2")),
    )


def _runs(nibbles: Raw) -> Raw:
    """128 bytes -> 256 codes: each run of 32 bytes holds two sub-blocks, low nibbles first."""
    return _halves(nibbles.reshape(*nibbles.shape[:2], 4, 32)).reshape(*nibbles.shape[:2], 256)


def _q4_k(form: Form, raw: Raw) -> Matrix:
    return _two_level(form, raw, _runs(raw[..., 16:]))


def _q5_k(form: Form, raw: Raw) -> Matrix:
    high = raw[..., 16:48]  # bit s of byte j belongs to weight j of sub-block s
    bits = np.stack([(high >> s & 1) << 4 for s in range(8)], 2).reshape(*high.shape[:2], 256)
    return _two_level(form, raw, _runs(raw[..., 48:]) | bits)


def _q6_k(form: Form, raw: Raw) -> Matrix:
    """Two halves of 128 weights: 64 bytes of low nibbles and 32 of high pairs of bits each."""
    low = raw[..., :128].reshape(*raw.shape[:2], 2, 64)
    pairs = raw[..., 128:192].reshape(*raw.shape[:2], 2, 32)
    low = np.concatenate([low & 15, low >> 4], -1)
    high = np.concatenate([(pairs >> s & 3) << 4 for s in (0, 2, 4, 6)], -1)
    codes = (low | high) + np.uint8(form.bias - 32)
    return Matrix(
        form=form,
        codes=_rows(codes),
        scale=_rows(_view(raw, 192, 208, "i1")),
        super_scale=_rows(_view(raw, 208, 210, "f2")),
    )


def _mxfp4(form: Form, raw: Raw) -> Matrix:
    """An e8m0 byte, then the codes as in Q4_0.

    llama.cpp halves the scale and doubles the values, which is the same. It reads the scale 255 as
    2^128, where the standard has NaN: packing refuses that.
    """
    return Matrix(form=form, codes=_rows(_halves(raw[..., 1:])), scale=_rows(raw[..., 0:1]))


def _bf16(form: Form, raw: Raw) -> Matrix:
    return Matrix(form=form, codes=_rows(_view(raw, 0, 2, "u2")))


def _f16(form: Form, raw: Raw) -> Matrix:
    return Matrix(form=form, codes=f32_to_bf16(_rows(FLOATS["F16"](raw))))


def _f32(form: Form, raw: Raw) -> Matrix:
    return Matrix(form=form, codes=f32_to_bf16(_rows(FLOATS["F32"](raw))))


FLOATS: dict[str, Callable[[Raw], NDArray[np.float32]]] = {
    "F32": lambda raw: _view(raw, 0, 4, "f4").astype(np.float32),
    "F16": lambda raw: _view(raw, 0, 2, "f2").astype(np.float32),
    "BF16": lambda raw: bf16_to_f32(_view(raw, 0, 2, "u2")),
}
_4 = Form(bits=4, group=32, scale="f16", offset="none")
_4_MIN = Form(bits=4, group=32, scale="f16", offset="min")
_8 = Form(bits=8, group=32, scale="f16", offset="none")
_8_MIN = Form(bits=8, group=32, scale="f16", offset="min")
_4_TWO = Form(bits=4, group=32, scale="two_level", offset="min")
_8_TWO = Form(bits=8, group=32, scale="two_level", offset="min")
_6_TWO = Form(bits=8, group=16, scale="two_level", offset="none")

BLOCKS: dict[int, Block] = {
    0: Block("F32", 1, 4, BF16, _f32),
    1: Block("F16", 1, 2, BF16, _f16),
    2: Block("Q4_0", 32, 18, _4, _q4_0),
    3: Block("Q4_1", 32, 20, _4_MIN, _q4_1),
    6: Block("Q5_0", 32, 22, _8, _q5_0),
    7: Block("Q5_1", 32, 24, _8_MIN, _q5_1),
    8: Block("Q8_0", 32, 34, _8, _q8_0),
    12: Block("Q4_K", 256, 144, _4_TWO, _q4_k),
    13: Block("Q5_K", 256, 176, _8_TWO, _q5_k),
    14: Block("Q6_K", 256, 210, _6_TWO, _q6_k),
    30: Block("BF16", 1, 2, BF16, _bf16),
    39: Block("MXFP4", 32, 17, E2M1, _mxfp4),
}
"""By the number a GGUF file gives them."""
