"""Values of a checkpoint as published: what packing rounds to bf16, a reference does not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_families import FAMILIES, expected, saved

import gguf_cases
import gguf_models
from farthing import formats
from farthing.weight import Matrix, dense

OLD = {"attention__key_length": 80, "attention__value_length": 32, "attention__head_count_kv": 4}
OLD |= {"attention__key_length_mla": None, "attention__value_length_mla": None}


def pieces(found, name):
    """(index, what `tensor` gives, what `values` gives) of a tensor, or of each of a stack."""
    layout = found.layout(name)
    stack = layout.form is not None and len(layout.shape) == 3
    for index in range(layout.shape[0]) if stack else [None]:
        yield index, found.tensor(name, index=index), found.values(name, index)


def rounds_to(values, tensor) -> bool:
    if not isinstance(tensor, Matrix):
        return np.array_equal(values, tensor)
    if tensor.form.bits == 16:
        return np.array_equal(dense(values).codes, tensor.codes)
    return np.array_equal(values, tensor.dequantize())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_its_values_rounded(family: str, tmp_path: Path) -> None:
    saved(tmp_path, family)
    path = tmp_path / "model.safetensors"
    held = load_file(path)
    torch.manual_seed(0)
    odd = {name: tensor + 1e-4 * torch.randn_like(tensor) for name, tensor in held.items()}
    save_file(odd, path, {"format": "pt"})
    found = formats.open(tmp_path)
    rounded = 0
    for name in found.names():
        for _, tensor, values in pieces(found, name):
            assert values.dtype == np.float32 and rounds_to(values, tensor), name
            if isinstance(tensor, Matrix):
                rounded += not np.array_equal(values, tensor.dequantize())
    assert rounded > 10, "else nothing was rounded and nothing is shown"


def test_values_of_floats_are_the_files_own(tmp_path: Path) -> None:
    model = saved(tmp_path, "qwen3_moe")
    found = formats.open(tmp_path)
    for name, array in expected(model).items():
        got = [values for _, _, values in pieces(found, name)]
        np.testing.assert_array_equal(got[0] if array.ndim < 3 else np.stack(got), array)


@pytest.mark.parametrize("case", gguf_cases.CASES)
@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0"])
def test_every_tensor_of_a_gguf_file_is_its_values_rounded(
    case: str, kind: str, tmp_path: Path
) -> None:
    """Permuted rows, stacks, and the two halves of one kv_b, which is turned."""
    config = gguf_cases.config_of(case)
    random = np.random.default_rng(1)
    ours = {
        name: random.standard_normal(array.shape).astype(np.float32)
        for name, array in gguf_cases.arrays_of(config).items()
    }
    tensors = gguf_models.tensors_of(config, ours)
    old = case.startswith("v")
    names = [f"{name}.weight" for name in ("ffn_up_exps", "attn_q", "attn_kv_b", "token_embd")]
    found = gguf_cases.made(
        tmp_path,
        case,
        gguf_models.unsplit(tensors) if old else tensors,
        dict.fromkeys(names, kind),
        **(OLD if old else {}),
    )
    for name in found.names():
        for index, tensor, values in pieces(found, name):
            assert values.dtype == np.float32 and rounds_to(values, tensor), name
            array = ours[name] if index is None else ours[name][index]
            if kind == "F32":
                np.testing.assert_array_equal(values, array, err_msg=name)
