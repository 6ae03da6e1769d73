"""Which tensors the native kernels of a training step take, and how these see them.

Memory that NumPy has seen is never resized again: a weight, whose memory a sharded model gives back
between blocks, must be copied first.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.engine.isa import choose_isa
from farthing.ops import training


def instructions(*tensors: Tensor, dtype: torch.dtype = torch.bfloat16) -> str | None:
    """The instruction set whose kernels take these; None where torch's own do better, or must."""
    if any(x.dtype != dtype or x.device.type != "cpu" for x in tensors):
        return None
    isa = choose_isa()
    return None if isa == "portable" else isa


def bf16(x: Tensor) -> NDArray[np.int16]:
    """[..., d] as rows [n, d], of the same memory: x is contiguous."""
    bits: NDArray[np.int16] = x.detach().view(torch.int16).view(-1, x.shape[-1]).numpy()
    return bits


def add(sums: Tensor, x: Tensor) -> None:
    """sums += x, of whatever dtypes: torch widens a copy of x first."""
    isa = instructions(x)
    whole = sums.is_contiguous() and x.is_contiguous() and x.ndim > 0
    if isa is None or instructions(sums, dtype=torch.float32) is None or not whole:
        sums += x
        return
    rows = fp32(sums.view(-1, sums.shape[-1]))
    training.add(isa, bf16(x), rows, torch.get_num_threads())


def fp32(x: Tensor) -> NDArray[np.float32]:
    """The same memory: x is contiguous."""
    numbers: NDArray[np.float32] = x.detach().numpy()
    return numbers
