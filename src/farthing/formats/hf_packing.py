"""One matrix in compressed-tensors' pack-quantized layout: `hf_compressed` says how it lies."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.hf_codes import words_for
from farthing.formats.safetensors import Head
from farthing.formats.types import Shape
from farthing.weight import Form, Matrix

ROWS = 32
"""Rows are taken by multiples of this: the zeros of as many fill whole words."""


@dataclass(frozen=True, slots=True)
class Scheme:
    bits: int
    group: int
    symmetric: bool

    def weights(self) -> dict[str, object]:
        """As config_groups have it."""
        return {
            "num_bits": self.bits,
            "type": "int",
            "symmetric": self.symmetric,
            "strategy": "group",
            "group_size": self.group,
            "dynamic": False,
            "actorder": None,
            "observer": "minmax",
        }


def scheme_of(what: str, form: Form, columns: int) -> Scheme:
    """Raises FormatError, beginning with `what`, for a form that has no exact counterpart."""
    advice = (
        "quantize it to 4 or 8 bits, groups of 32, 64 or 128, and without a minimum or with one in"
        ' whole steps (minimum = "whole" in a recipe)'
    )
    if form.bits not in (4, 8) or form.lookup != "none" or form.scale not in ("f16", "f32"):
        raise FormatError(f"{what}: compressed-tensors has no place for {form.name}; {advice}")
    if form.offset == "min" and form.scale == "f16":
        raise FormatError(
            f"{what}: {form.name} adds a minimum that is no whole number of scales, and"
            f" compressed-tensors has only such zeros; {advice}"
        )
    if form.group == 16 or columns % form.group:
        raise FormatError(
            f"{what}: groups of {form.group} in rows of {columns}; compressed-tensors takes whole"
            f" groups of 32, 64 or 128: {advice}"
        )
    return Scheme(form.bits, form.group, form.offset == "none")


def heads(form: Form, shape: Shape) -> dict[str, Head]:
    """What of a matrix [N, K] is stored, by the ends of the names."""
    rows, columns = shape
    groups = columns // form.group
    made = {
        "weight_packed": Head("I32", (rows, words_for(columns, 4 if form.bits == 4 else 8))),
        "weight_scale": Head("F16" if form.scale == "f16" else "F32", (rows, groups)),
        "weight_shape": Head("I64", (2,)),
    }
    if form.offset != "none":
        words = words_for(rows, 4 if form.bits == 4 else 8)
        made["weight_zero_point"] = Head("I32", (words, groups))
    return made


def parts(what: str, matrix: Matrix) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The numbers of some rows, as many as fill words if others follow. All but the shape.

    Raises FormatError, beginning with `what`, for a zero that the format can't hold.
    """
    form = matrix.form
    assert matrix.scale is not None
    yield "weight_packed", packed(matrix.codes, form.bits)
    yield "weight_scale", matrix.scale.astype("<f2" if form.scale == "f16" else "<f4")
    if form.offset != "none":
        yield "weight_zero_point", np.ascontiguousarray(packed(_zeros(what, matrix).T, form.bits).T)


def packed(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """[.., n] codes -> [.., ceil(n bits / 32)] words, the first in the lowest bits."""
    per = 32 // bits
    short = -codes.shape[-1] % per
    octets: NDArray[np.uint8] = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, short)])
    if bits == 4:
        octets = (octets[..., ::2] | octets[..., 1::2] << 4).astype(np.uint8)
    return np.ascontiguousarray(octets).view("<u4")


def _zeros(what: str, matrix: Matrix) -> NDArray[np.uint8]:
    """[n, G] whole numbers that fit the codes."""
    assert matrix.scale is not None
    if matrix.zero is not None:
        zero = matrix.zero.astype(np.float64)
    else:
        assert matrix.minimum is not None
        scale, minimum = matrix.scale.astype(np.float64), matrix.minimum.astype(np.float64)
        zero = np.rint(np.divide(-minimum, scale, out=np.zeros_like(scale), where=scale != 0))
        if not np.array_equal(-(zero * scale), minimum):
            raise FormatError(
                f"{what}: a minimum that is no whole number of scales, which compressed-tensors"
                f" can't hold; quantize it without a minimum"
            )
    most = (1 << matrix.form.bits) - 1
    if np.any(zero != np.rint(zero)) or np.any(zero < 0) or np.any(zero > most):
        raise FormatError(f"{what}: a zero beyond 0 to {most}, which compressed-tensors can't hold")
    return zero.astype(np.uint8)
