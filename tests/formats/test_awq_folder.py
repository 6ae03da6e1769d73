"""AWQ checkpoints are read to the bit, or refused by name."""

import numpy as np
import pytest
import torch
from code_packers import awq, folder_of, random_codes, weights

from farthing import formats
from farthing.errors import FormatError
from farthing.weight import Form

NAME = "model.layers.0.mlp.down_proj"
GEMM = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": 32,
    "version": "gemm",
    "zero_point": True,
    "modules_to_not_convert": ["lm_head"],
}


@pytest.mark.parametrize(
    ("size", "columns", "group", "kept"),
    [(32, 96, 32, 32), (64, 128, 64, 64), (128, 256, 128, 128), (-1, 96, 96, 128)],
)
def test_every_weight_is_its_scale_times_code_less_zero(size, columns, group, kept, tmp_path):
    made = random_codes(40, columns, columns // group, 4)
    config = {"quantization_config": GEMM | {"group_size": size}}
    plain = {"lm_head.weight": torch.ones(3, 5)}
    found = formats.open(folder_of(tmp_path, awq(NAME, **made) | plain, **config))
    name = f"{NAME}.weight"
    assert set(found.names()) == {name, "lm_head.weight"}
    assert found.layout(name).form == Form(bits=4, group=kept, scale="f16", offset="zero")
    expected = weights(**made, group=group)
    np.testing.assert_array_equal(found.tensor(name).dequantize(), expected)
    for rows in slice(0, 16), slice(19, 37), slice(3, 20, 5), slice(40, 50):
        np.testing.assert_array_equal(found.tensor(name, rows).dequantize(), expected[rows])
    np.testing.assert_array_equal(found.tensor("lm_head.weight").dequantize(), np.ones((3, 5)))


def test_the_settings_of_old_files_have_other_names(tmp_path):
    made = random_codes(16, 64, 1, 4)
    settings = {"quant_method": "awq", "w_bit": 4, "q_group_size": 64, "version": "GEMM"}
    found = formats.open(folder_of(tmp_path, awq(NAME, **made), quantization_config=settings))
    read = found.tensor(f"{NAME}.weight").dequantize()
    np.testing.assert_array_equal(read, weights(**made, group=64))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": "gemv"}, "version 'gemv'; 'gemm'"),
        ({"zero_point": False}, "zero_point False"),
        ({"bits": 8}, "bits 8; 4"),
        ({"group_size": 48}, "groups of 48"),
    ],
)
def test_settings_that_are_not_read_are_named(changed, said, tmp_path):
    tensors = awq(NAME, **random_codes(16, 64, 2, 4))
    with pytest.raises(FormatError, match=said):
        formats.open(folder_of(tmp_path, tensors, quantization_config=GEMM | changed))


@pytest.mark.parametrize(
    ("part", "tensor", "said"),
    [
        ("qzeros", None, f"{NAME}.qzeros is missing"),
        ("qweight", None, f"{NAME}.qweight, which is missing"),
        ("scales", torch.ones(2, 24).half(), "scales [2, 24]; [2, 16] expected"),
        ("qzeros", torch.ones(2, 3, dtype=torch.int32), "zeros [2, 3]; [2, 2] expected"),
        ("qweight", torch.ones(64, dtype=torch.int32), "dtype I32"),
        ("qweight", torch.ones(64, 2), "dtype F32"),
    ],
)
def test_a_damaged_tensor_is_named(part, tensor, said, tmp_path):
    tensors = awq(NAME, **random_codes(16, 64, 2, 4)) | {f"{NAME}.{part}": tensor}
    kept = {name: each for name, each in tensors.items() if each is not None}
    with pytest.raises(FormatError) as raised:
        formats.open(folder_of(tmp_path, kept, quantization_config=GEMM))
    assert said in str(raised.value)
