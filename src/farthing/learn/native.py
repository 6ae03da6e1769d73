"""Which tensors the native kernels of a training step take, and how these see them.

Memory that NumPy has seen is never resized again: a weight, whose memory a sharded model gives back
between blocks, must be copied first.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.engine.isa import choose_isa


def instructions(*tensors: Tensor) -> str | None:
    """The instruction set whose kernels take these; None where torch's own do better, or must."""
    if any(x.dtype != torch.bfloat16 or x.device.type != "cpu" for x in tensors):
        return None
    isa = choose_isa()
    return None if isa == "portable" else isa


def bf16(x: Tensor) -> NDArray[np.int16]:
    """[..., d] as rows [n, d], of the same memory: x is contiguous."""
    bits: NDArray[np.int16] = x.detach().view(torch.int16).view(-1, x.shape[-1]).numpy()
    return bits


def fp32(x: Tensor) -> NDArray[np.float32]:
    """The same memory: x is contiguous."""
    numbers: NDArray[np.float32] = x.detach().numpy()
    return numbers
