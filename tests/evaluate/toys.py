"""Small packed models with a tokenizer, and the same at fewer bits, for tests of evaluation."""

from pathlib import Path
from typing import Any

import numpy as np

from farthing.quantize.rtn import rtn
from farthing.weight import Form, Matrix, dense
from native.toy_native import FORMS, config, folder, tensors
from server.toy_model import write_toy

VOCABULARY = 259
BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "head_dim": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def toy(at: Path, form: Form | None = None, *, seed: int = 0, **changes: Any) -> Path:
    """A llama of two layers in bf16; with `form`, the same one with its linears rounded to it."""
    made = config(**(BASE | changes))
    held = {name: bf16(tensor) for name, tensor in tensors(made, FORMS["bf16"], seed).items()}
    if form is not None:
        held = {name: rounded(name, tensor, form) for name, tensor in held.items()}
    folder(at, made, held)
    write_toy(at)
    return at


def bf16(tensor: Any) -> Any:
    return dense(tensor.dequantize()) if isinstance(tensor, Matrix) else tensor


def rounded(name: str, tensor: Any, form: Form) -> Any:
    if not isinstance(tensor, Matrix) or "_proj" not in name:
        return tensor
    return rtn(tensor.dequantize(), form)


def ids(count: int, seed: int = 0) -> np.ndarray:
    """[count] random tokens."""
    return np.random.default_rng(seed).integers(3, VOCABULARY, count).astype(np.int32)
