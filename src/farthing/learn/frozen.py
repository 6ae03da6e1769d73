"""Weights that don't learn: plain tensors, or codes of a few bits that become numbers when used.

QLoRA's base (Dettmers et al., 2305.14314) in farthing's own forms: what is trained beside INT4
weights meets the very numbers that are served. Nothing dequantized is kept for the way back.

Shapes: N rows (outputs), K columns (inputs), E experts, P pairs of a token and an expert.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from farthing.weight import TWICE, Matrix

HALF = torch.float16


@dataclass(frozen=True, slots=True)
class Codes:
    """One matrix or a stack: weight = scale * whole + minimum, by groups of columns."""

    shape: tuple[int, ...]
    """[N, K] or [E, N, K]"""

    group: int
    bits: int
    values: Tensor
    """What a code stands for: fp32 [2 ** bits], whole numbers."""

    codes: Tensor
    """[..., N, K] uint8; of 4 bits two in a byte, columns 2j low and 2j + 1 high."""

    scale: Tensor
    minimum: Tensor | None
    """[..., N, G] fp16 where that is exact, else fp32."""

    @classmethod
    def of(cls, matrices: Sequence[Matrix], *, stack: bool) -> "Codes":
        """Of one matrix, or of a stack's, which are alike."""
        first = matrices[0]
        scales, minima = zip(*(matrix.groups() for matrix in matrices), strict=True)
        codes = np.stack([_halved(m.codes) if m.form.bits == 4 else m.codes for m in matrices])
        whole = np.arange(1 << first.form.bits) - first.form.bias
        values = TWICE if first.form.lookup == "e2m1" else whole
        found = [_short(np.stack(scales)), torch.from_numpy(codes)]
        minimum = None if first.form.offset == "none" else _short(np.stack(minima))
        if not stack:
            found = [tensor[0] for tensor in found]
            minimum = None if minimum is None else minimum[0]
        return cls(
            shape=(len(matrices), *first.shape) if stack else first.shape,
            group=first.form.group,
            bits=first.form.bits,
            values=torch.from_numpy(values.astype(np.float32)),
            codes=found[1],
            scale=found[0],
            minimum=minimum,
        )

    @property
    def bytes(self) -> int:
        parts = (self.codes, self.scale, self.minimum)
        return sum(part.nbytes for part in parts if part is not None)

    def dense(self, dtype: torch.dtype, index: int | None = None) -> Tensor:
        """The numbers, or those of matrix `index` of a stack."""
        at: Any = ... if index is None else index
        codes, scale, columns = self.codes[at], self.scale[at].float(), self.shape[-1]
        if self.bits == 4:
            both = torch.stack([codes & 15, codes >> 4], -1)
            codes = both.flatten(-2)[..., :columns]
        whole = self.values[codes.int()]
        if short := -columns % self.group:
            whole = F.pad(whole, (0, short))
        parts = whole.view(*scale.shape, self.group) * scale[..., None]
        if self.minimum is not None:
            parts = parts + self.minimum[at].float()[..., None]
        return parts.flatten(-2)[..., :columns].to(dtype)


Frozen = Tensor | Codes


def dense(weight: Frozen, dtype: torch.dtype) -> Tensor:
    return weight.dense(dtype) if isinstance(weight, Codes) else weight


def linear(x: Tensor, weight: Frozen) -> Tensor:
    """[T, K] by [N, K]: [T, N], in x's dtype."""
    if not isinstance(weight, Codes):
        return F.linear(x, weight)
    apply: Callable[..., Tensor] = _Linear.apply
    return apply(x, weight)


def grouped(x: Tensor, stack: Frozen, ends: Sequence[int]) -> Tensor:
    """[P, K] by a stack [E, N, K]: [P, N]; pairs ends[e - 1]..ends[e] meet matrix e.

    Of codes one expert's numbers exist at a time; a tensor that learns gets its gradient.
    """
    apply: Callable[..., Tensor] = _Grouped.apply
    if isinstance(stack, Codes):
        return apply(x, None, stack, ends)
    return apply(x, stack, None, ends)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Codes) -> Tensor:
        ctx.weight = weight
        return F.linear(x, weight.dense(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad @ ctx.weight.dense(grad.dtype), None


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, stack: Tensor | None, codes: Codes | None, ends: Sequence[int]
    ) -> Tensor:
        found = stack if stack is not None else codes
        assert found is not None
        ctx.save_for_backward(x, stack)
        ctx.codes, ctx.ends = codes, ends
        out = x.new_empty(len(x), found.shape[1])
        for index, mine in _slices(ends):
            out[mine] = x[mine] @ _one(found, index, x.dtype).T
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, stack = ctx.saved_tensors
        found = stack if stack is not None else ctx.codes
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_stack = torch.zeros_like(stack) if ctx.needs_input_grad[1] else None
        for index, mine in _slices(ctx.ends):
            if grad_x is not None:
                grad_x[mine] = grad[mine] @ _one(found, index, x.dtype)
            if grad_stack is not None:
                grad_stack[index] = grad[mine].T @ x[mine]
        return grad_x, grad_stack, None, None


def _slices(ends: Sequence[int]) -> list[tuple[int, slice]]:
    starts = [0, *ends[:-1]]
    pairs = zip(starts, ends, strict=True)
    return [(e, slice(start, end)) for e, (start, end) in enumerate(pairs) if end > start]


def _one(stack: Frozen, index: int, dtype: torch.dtype) -> Tensor:
    return stack.dense(dtype, index) if isinstance(stack, Codes) else stack[index]


def _halved(codes: Any) -> Any:
    """[N, K] of 4 bits -> [N, (K + 1) // 2]."""
    padded = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
    return padded[:, 0::2] | padded[:, 1::2] << 4


def _short(values: Any) -> Tensor:
    found = torch.from_numpy(values)
    half = found.to(HALF)
    return half if torch.equal(half.float(), found) else found
