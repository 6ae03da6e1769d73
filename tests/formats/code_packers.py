"""Codes packed as the formats' own descriptions say, one code after the other: slow, and right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file


def words(codes: np.ndarray, bits: int, order: list[int] | None = None) -> np.ndarray:
    """[.., n] codes -> [.., n * bits / 32] int32: place i of a word holds code order[i]."""
    per = 32 // bits
    order = order or list(range(per))
    made = np.zeros((*codes.shape[:-1], -(-codes.shape[-1] // per)), np.uint64)
    for at in range(made.shape[-1]):
        for place, code in enumerate(order):
            if at * per + code < codes.shape[-1]:
                one = codes[..., at * per + code].astype(np.uint64)
                made[..., at] |= one << np.uint64(place * bits)
    return made.astype(np.uint32).view(np.int32)


def random_codes(rows: int, columns: int, groups: int, bits: int, seed: int = 0) -> dict[str, Any]:
    """codes [N, K], zeros [N, G] of every size, scales [N, G] exact in fp16 and in bf16."""
    random = np.random.default_rng(seed)
    return {
        "codes": random.integers(0, 1 << bits, (rows, columns)),
        "zeros": random.integers(0, 1 << bits, (rows, groups)),
        "scales": random.integers(128, 256, (rows, groups)) / np.float32(1 << 12),
    }


def weights(codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray, group: int) -> np.ndarray:
    """scale * (code - zero), one column after the other."""
    made = np.zeros(codes.shape, np.float32)
    for column in range(codes.shape[1]):
        at = column // group
        made[:, column] = scales[:, at] * (codes[:, column] - zeros[:, at])
    return made


def gptq(
    name: str,
    codes: np.ndarray,
    zeros: np.ndarray,
    scales: np.ndarray,
    bits: int,
    *,
    group: int,
    less_one: bool = True,
    dtype: torch.dtype = torch.float16,
) -> dict[str, torch.Tensor]:
    qzeros = words(zeros.T, bits)
    if less_one:  # as GPTQModel does it: from the word, not from each code
        qzeros = (qzeros.view(np.uint32) - np.uint32(0x11111111 if bits == 4 else 0x01010101)).view(
            np.int32
        )
    return {
        f"{name}.qweight": torch.tensor(words(codes, bits).T.copy()),
        f"{name}.qzeros": torch.tensor(qzeros),
        f"{name}.scales": torch.tensor(scales.T.copy()).to(dtype),
        f"{name}.g_idx": torch.arange(codes.shape[1], dtype=torch.int32) // group,
    }


def awq(
    name: str, codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray
) -> dict[str, torch.Tensor]:
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    return {
        f"{name}.qweight": torch.tensor(words(codes.T, 4, order)),
        f"{name}.qzeros": torch.tensor(words(zeros.T, 4, order)),
        f"{name}.scales": torch.tensor(scales.T.copy()).half(),
    }


def folder_of(folder: Path, tensors: dict[str, torch.Tensor], **config: Any) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    made = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(made, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder
