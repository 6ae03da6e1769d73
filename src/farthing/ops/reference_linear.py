"""Matrices as the reference reads them, and products with them. Slow, and the judge.

Shapes: T tokens, N outputs, K inputs, B blocks of 32 inputs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from farthing.weight import COLUMNS, Matrix, bf16_to_f32, f32_to_bf16

Activations = Literal["fp32", "bf16", "int8"]
"""What a linear's input is rounded to before the product."""

LEAST = np.float32(2.0**-120)
"""127 over anything smaller may be infinite in fp32."""


@dataclass(frozen=True)
class Weight:
    """A matrix [N, K] and the rounding of the inputs it meets."""

    matrix: Matrix
    activations: Activations = "fp32"

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """[N, K] fp32, made once."""
        return self.matrix.dequantize()


@dataclass(frozen=True)
class Stack:
    """Matrices [E, N, K] of one shape, by index."""

    matrices: tuple[Weight, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.matrices), *self.matrices[0].shape

    def __getitem__(self, index: int) -> Weight:
        return self.matrices[index]


Tensor = Matrix | list[Matrix] | NDArray[np.float32]


def bind(
    tensors: Mapping[str, Tensor], activations: Activations = "fp32"
) -> dict[str, Weight | Stack | NDArray[np.float32]]:
    """A checkpoint's tensors as a model page takes them; a list of matrices is a stack.

    With int8 activations, bf16 matrices meet bf16 inputs, as on the native side.
    """

    def one(matrix: Matrix) -> Weight:
        bf16 = activations == "int8" and matrix.form.bits == 16
        return Weight(matrix, "bf16" if bf16 else activations)

    def of(tensor: Tensor) -> Weight | Stack | NDArray[np.float32]:
        if isinstance(tensor, list):
            return Stack(tuple(one(matrix) for matrix in tensor))
        return one(tensor) if isinstance(tensor, Matrix) else tensor

    return {name: of(tensor) for name, tensor in tensors.items()}


def linear(x: Any, weight: Any, bias: Any = None, *, precise: bool = False) -> Any:
    """[T, K] -> [T, N]; the weight is a Weight, or an array [N, K] of x's own kind."""
    if not isinstance(weight, Weight):
        y = array_namespace(x).matmul(x, weight.T)
    elif precise or weight.activations == "fp32":
        y = x @ array_namespace(x).asarray(weight.values).T
    elif weight.activations == "int8":
        y = _linear_codes(*quantize(x), weight.matrix)
    else:
        y = bf16_to_f32(f32_to_bf16(x)) @ weight.values.T
    return y if bias is None else y + bias


def head_linear(x: Any, weight: Any) -> Any:
    """[T, h * K] -> [T, h * N] by a stack [h, N, K]."""
    heads, _, columns = weight.shape
    parts = (x[:, i * columns : (i + 1) * columns] for i in range(heads))
    return array_namespace(x).concat([linear(p, weight[i]) for i, p in enumerate(parts)], axis=1)


def logits(x: Any, weight: Any) -> Any:
    """Like linear; where others round their inputs to int8, this rounds them to 16 bits."""
    if not isinstance(weight, Weight) or weight.activations != "int8":
        return linear(x, weight)
    return _linear_codes(*quantize16(x), weight.matrix)


def quantize(x: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """[T, K] -> codes [T, K] in -127..127 and scales [T, B], by token and 32 inputs.

    The last block may be short. One whose largest is below LEAST is all zeros.
    """
    scaled, amax = _scaled(x)
    return np.rint(scaled).astype(np.int32)[:, : x.shape[1]], amax * np.float32(1 / 127)


def quantize16(x: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The same with codes of 16 bits: 256 times quantize's, and what those leave."""
    scaled, amax = _scaled(x)
    high = np.rint(scaled)
    low = np.clip(np.rint((scaled - high) * np.float32(256)), -127, 127)
    codes = (256 * high + low).astype(np.int32)[:, : x.shape[1]]
    return codes, amax * np.float32(1 / (127 * 256))


def _scaled(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[T, K] in -127..127, and the largest of each block [T, B]."""
    blocks = _blocks(x)
    amax = np.abs(blocks).max(-1, initial=0)
    inverse = np.divide(np.float32(127), amax, out=np.zeros_like(amax), where=amax >= LEAST)
    return np.clip(blocks * inverse[..., None], -127, 127).reshape(len(x), -1), amax


def block_sums(
    codes: NDArray[np.int32], matrix: Matrix
) -> Iterator[tuple[slice, NDArray[np.int32], NDArray[np.int32]]]:
    """For each run of inputs with one scale on both sides: its columns, products, sums.

    products [T, N] are sums of input code times the weight's whole number, sums [T, 1] of input
    codes alone. Exact: whole numbers far below 2^53 in fp64 products.
    """
    run, whole = min(matrix.form.group, COLUMNS), matrix.whole().astype(np.float64)
    for start in range(0, codes.shape[1], run):
        part = slice(start, min(start + run, codes.shape[1]))
        left = codes[:, part].astype(np.float64)
        yield (
            part,
            (left @ whole[:, part].T).astype(np.int32),
            left.sum(1, keepdims=True).astype(np.int32),
        )


def _linear_codes(
    codes: NDArray[np.int32], scales: NDArray[np.float32], matrix: Matrix
) -> NDArray[np.float32]:
    """Blocks are added in order, in fp32."""
    weight_scale, offset = matrix.groups()
    y = np.zeros((len(codes), matrix.shape[0]), np.float32)
    for part, products, sums in block_sums(codes, matrix):
        scale = scales[:, part.start // COLUMNS, None]
        group = part.start // matrix.form.group
        y += weight_scale[:, group] * scale * products.astype(np.float32)
        if matrix.form.offset != "none":
            y += offset[:, group] * scale * sums.astype(np.float32)
    return y


def _blocks(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """[T, K] -> [T, B, 32], the last block filled with zeros."""
    padded = np.zeros((len(x), -(-x.shape[1] // COLUMNS) * COLUMNS), np.float32)
    padded[:, : x.shape[1]] = x
    return padded.reshape(len(x), -1, COLUMNS)
