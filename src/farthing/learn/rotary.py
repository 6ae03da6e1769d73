"""Rotary positions, forward and back: the way back turns by the opposite angles.

Shapes: T tokens, h heads, d width of a head, of which the first r numbers are turned.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from farthing.learn.native import bf16, fp32, instructions
from farthing.ops import training

Angles = tuple[Tensor, Tensor]
"""cos and sin [T, r / 2], fp32."""


def turned(x: Tensor, angles: Angles, *, heads: int, interleaved: bool) -> Tensor:
    """x [T, h * d]; pairs of numbers are neighbours where interleaved, else half of r apart."""
    if instructions(x) is None:
        return _composed(x, angles, heads, interleaved)
    apply: Callable[..., Tensor] = _Turned.apply
    return apply(x, *angles, heads, interleaved)


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, heads: int, interleaved: bool
    ) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.rest = heads, interleaved
        return _native(x, (cos, sin), heads, interleaved, back=False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return _native(grad, ctx.saved_tensors, *ctx.rest, back=True), None, None, None, None


def _native(x: Tensor, angles: Angles, heads: int, interleaved: bool, *, back: bool) -> Tensor:
    isa, x = instructions(x), x.contiguous()
    if isa is None:
        raise TypeError(f"no kernel turns {x.dtype} on {x.device}")
    out, (cos, sin) = torch.empty_like(x), angles
    training.turn(
        isa,
        bf16(x),
        (fp32(cos), fp32(sin)),
        bf16(out),
        heads=heads,
        interleaved=interleaved,
        back=back,
        threads=torch.get_num_threads(),
    )
    return out


def _composed(x: Tensor, angles: Angles, heads: int, interleaved: bool) -> Tensor:
    cos, sin = (part[:, None] for part in angles)
    width = cos.shape[-1]
    parts = x.view(x.shape[0], heads, -1)
    here, rest = parts[..., : 2 * width], parts[..., 2 * width :]
    if interleaved:
        a, b = here[..., 0::2].float(), here[..., 1::2].float()
        out = torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    else:
        a, b = here[..., :width].float(), here[..., width:].float()
        out = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
    return torch.cat([out.to(x.dtype), rest], -1).view(x.shape)
