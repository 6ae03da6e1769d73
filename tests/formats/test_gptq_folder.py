"""GPTQ checkpoints are read to the bit, in both versions, or refused by name."""

import numpy as np
import pytest
import torch
from code_packers import folder_of, gptq, random_codes, weights

from farthing import formats
from farthing.errors import FormatError
from farthing.formats import packed
from farthing.weight import BF16, Form

NAME = "model.layers.0.mlp.down_proj"
V1 = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": False, "desc_act": False}


def opened(tmp_path, made, settings=V1, group=32, **packing):
    bits = 8 if settings["bits"] == 8 else 4
    tensors = gptq(NAME, **made, bits=bits, group=group, **packing)
    return formats.open(folder_of(tmp_path, tensors, quantization_config=settings))


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("key", ["checkpoint_format", "format"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("size", "columns", "group", "kept"),
    [
        (32, 96, 32, 32),
        (64, 128, 64, 64),
        (128, 256, 128, 128),
        (256, 512, 256, 128),
        (128, 160, 128, 128),
        (-1, 96, 96, 128),
        (-1, 384, 384, 128),
    ],
)
def test_every_weight_is_its_scale_times_code_less_zero(
    key, version, bits, size, columns, group, kept, tmp_path
):
    made = random_codes(24, columns, -(-columns // group), bits)
    settings = V1 | {"bits": bits, "group_size": size, key: version}
    found = opened(tmp_path, made, settings, group, less_one=version == "gptq")
    (name,) = found.names()
    assert name == f"{NAME}.weight"
    assert found.layout(name).form == Form(bits=bits, group=kept, scale="f16", offset="zero")
    expected = weights(**made, group=group)
    np.testing.assert_array_equal(found.tensor(name).dequantize(), expected)
    np.testing.assert_array_equal(found.tensor(name).codes, made["codes"])
    for rows in slice(0, 16), slice(16, 24), slice(3, 20, 5):
        np.testing.assert_array_equal(found.tensor(name, rows).dequantize(), expected[rows])


def test_what_is_read_is_packed_as_it_is(tmp_path):
    made = random_codes(40, 96, 3, 4)
    found = opened(tmp_path / "source", made)
    (tmp_path / "packed").mkdir()
    source = packed.Source("x", "0" * 64, "huggingface")
    packed.write(tmp_path / "packed", found.config, found, source=source, files={})
    back = packed.open(tmp_path / "packed").tensors[f"{NAME}.weight"].matrix()
    np.testing.assert_array_equal(back.dequantize(), weights(**made, group=32))


@pytest.mark.parametrize("bits", [4, 8])
def test_symmetric_codes_keep_no_zeros(bits, tmp_path):
    made = random_codes(16, 64, 2, bits)
    made["zeros"] = np.full_like(made["zeros"], 1 << (bits - 1))
    found = opened(tmp_path, made, V1 | {"bits": bits, "sym": True})
    form = found.layout(f"{NAME}.weight").form
    assert form == Form(bits=bits, group=32, scale="f16", offset="none")
    read = found.tensor(f"{NAME}.weight").dequantize()
    np.testing.assert_array_equal(read, weights(**made, group=32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("symmetric", [True, False])
def test_wider_scales_become_fp32_and_nothing_rounds(symmetric, dtype, tmp_path):
    made = random_codes(16, 64, 2, 4)
    made["scales"] *= np.float32(2.0**-30)  # below what fp16 holds
    if symmetric:
        made["zeros"] = np.full_like(made["zeros"], 8)
    found = opened(tmp_path, made, V1 | {"sym": symmetric}, dtype=dtype)
    form = found.layout(f"{NAME}.weight").form
    assert (form.scale, form.offset) == ("f32", "none" if symmetric else "min")
    read = found.tensor(f"{NAME}.weight").dequantize()
    np.testing.assert_array_equal(read, weights(**made, group=32))


def test_experts_become_stacks(tmp_path):
    many = [random_codes(16, 32, 1, 4, seed) for seed in range(3)]
    tensors = {}
    for index, made in enumerate(many):
        name = f"model.layers.0.mlp.experts.{index}.up_proj"
        tensors |= gptq(name, **made, bits=4, group=32)
    found = formats.open(folder_of(tmp_path, tensors, quantization_config=V1, num_experts=3))
    (name,) = found.names()
    assert found.layout(name).shape == (3, 16, 32)
    for index, made in enumerate(many):
        read = found.tensor(name, index=index).dequantize()
        np.testing.assert_array_equal(read, weights(**made, group=32))


def test_keys_of_latent_attention_are_turned_in_bf16(tmp_path):
    made = random_codes(16, 32, 1, 4)
    name = "model.layers.0.self_attn.kv_b_proj"
    sizes = {"num_attention_heads": 2, "qk_nope_head_dim": 3, "v_head_dim": 5}
    tensors = gptq(name, **made, bits=4, group=32)
    found = formats.open(folder_of(tmp_path, tensors, quantization_config=V1, **sizes))
    exact = weights(**made, group=32).reshape(2, 8, 32)
    for head in range(2):
        values = found.tensor("model.layers.0.self_attn.v_b_proj.weight", index=head)
        np.testing.assert_array_equal(values.dequantize(), exact[head, 3:])
        keys = found.tensor("model.layers.0.self_attn.k_b_proj.weight", slice(2, 30), head)
        rounded = torch.tensor(exact[head, :3].T[2:30].copy()).bfloat16().float()
        np.testing.assert_array_equal(keys.dequantize(), rounded)


def test_routers_become_bf16(tmp_path):
    """AutoGPTQ quantizes Mixtral's too; no kernel takes one in codes."""
    made = random_codes(16, 32, 1, 4)
    tensors = gptq("model.layers.0.block_sparse_moe.gate", **made, bits=4, group=32)
    found = formats.open(folder_of(tmp_path, tensors, quantization_config=V1))
    (name,) = found.names()
    assert name == "model.layers.0.mlp.gate.weight"
    assert found.layout(name).form == BF16
    expected = torch.tensor(weights(**made, group=32)).bfloat16().float().numpy()
    np.testing.assert_array_equal(found.tensor(name).dequantize(), expected)
    np.testing.assert_array_equal(found.tensor(name, slice(3, 9)).dequantize(), expected[3:9])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bits": 3}, "3 bits a weight; 4 and 8"),
        ({"bits": "4"}, "'4' bits"),
        ({"group_size": 16}, "groups of 16"),
        ({"group_size": 0}, "a group of 0"),
        ({"group_size": 160}, "groups of 160; read are 32, 64, multiples of 128"),
        ({"group_size": None}, "a group of None"),
        ({"sym": "yes"}, "symmetric is 'yes'"),
        ({"format": "gptq_p"}, "format 'gptq_p'; 'gptq' or 'gptq_v2'"),
        ({"format": "gptq", "checkpoint_format": "gptq_v2"}, "and they differ"),
        ({"rotation": "hadamard"}, "rotation 'hadamard'"),
        ({"checkpoint_format": "marlin"}, "checkpoint_format 'marlin'; 'gptq' or 'gptq_v2'"),
        ({"pack_dtype": "int64"}, "pack_dtype 'int64'"),
        ({"dynamic": {"+:.*": {"bits": 8}}}, "dynamic"),
    ],
)
def test_settings_that_are_not_read_are_named(changed, said, tmp_path):
    with pytest.raises(FormatError, match=said):
        opened(tmp_path, random_codes(16, 64, 2, 4), V1 | changed)


def refused(folder, tensors, *said):
    with pytest.raises(FormatError) as raised:
        found = formats.open(folder_of(folder, tensors, quantization_config=V1))
        found.tensor(f"{NAME}.weight")
    for text in said:
        assert text in str(raised.value), str(raised.value)


@pytest.mark.parametrize(
    ("part", "tensor", "said"),
    [
        ("qzeros", None, f"{NAME}.qzeros is missing"),
        ("scales", None, f"{NAME}.scales is missing"),
        ("qweight", None, f"{NAME}.qweight, which is missing"),
        ("scales", torch.ones(3, 16).half(), "scales [3, 16]; [2, 16] expected"),
        ("scales", torch.ones(2, 16, dtype=torch.int32), "dtype I32"),
        ("qzeros", torch.ones(2, 3, dtype=torch.int32), "zeros [2, 3]; [2, 2] expected"),
        ("qweight", torch.ones(8, 16, dtype=torch.int64), "dtype I64; read are I32"),
        ("qweight", torch.ones(8, dtype=torch.int32), "dtype I32"),
        ("g_idx", torch.zeros(63, dtype=torch.int32), "[64] expected"),
        ("g_idx", torch.arange(64, dtype=torch.int32) % 2, "column 1 is of group 1, not 0"),
        ("g_idx", torch.full((64,), -1, dtype=torch.int32), "column 0 is of group"),
    ],
)
def test_a_damaged_tensor_is_named(part, tensor, said, tmp_path):
    tensors = gptq(NAME, **random_codes(16, 64, 2, 4), bits=4, group=32)
    tensors[f"{NAME}.{part}"] = tensor
    refused(tmp_path, {n: t for n, t in tensors.items() if t is not None}, said)


def test_zeros_that_are_not_the_middle_are_not_dropped(tmp_path):
    made = random_codes(16, 64, 2, 4)
    made["zeros"] = np.full_like(made["zeros"], 8)
    made["zeros"][11, 1] = 7
    found = opened(tmp_path, made, V1 | {"sym": True})
    with pytest.raises(FormatError, match=r"a zero of 7.*makes it 8"):
        found.tensor(f"{NAME}.weight")


def test_products_that_fp32_would_round_are_refused(tmp_path):
    made = random_codes(16, 64, 2, 4)
    made["zeros"] = np.full_like(made["zeros"], 7)
    made["scales"] = np.full_like(made["scales"], np.float32(1 / 3))
    found = opened(tmp_path, made, dtype=torch.float32)
    with pytest.raises(FormatError, match="not exact in fp32"):
        found.tensor(f"{NAME}.weight")
