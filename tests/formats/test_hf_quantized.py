"""FP8 and FP4 checkpoints give the numbers that transformers gets from them, to the bit."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_families import TENSORS, change, expected, rewrite, saved, set_config
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from farthing import formats
from farthing.errors import FormatError
from farthing.formats import packed
from farthing.formats.fp8 import E4M3
from farthing.formats.fp8 import fp8 as fp8_matrix
from farthing.formats.hf_sheets import Numbers
from farthing.weight import BF16, E2M1

FP8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic"}
NAMED = "model.layers.0.mlp.experts.1.up_proj.weight"


def fp8(settings=FP8, block=(128, 128)):
    return {"quantization_config": settings | {"weight_block_size": list(block)}}


def folder_of(path, tensors, **config):
    path.mkdir(exist_ok=True)
    save_file({n: t.contiguous() for n, t in tensors.items()}, path / TENSORS)
    (path / "config.json").write_text(json.dumps(config))
    return path


def spread(scales, block, shape):
    rows = scales.repeat_interleave(block[0], -2)[..., : shape[-2], :]
    return rows.repeat_interleave(block[1], -1)[..., : shape[-1]]


def quantized(weight, block):
    """As FP8 checkpoints are made: the largest of a block becomes 448."""
    rows, columns = (-(-n // b) for n, b in zip(weight.shape, block, strict=True))
    scales = torch.rand(rows, columns) / 300
    codes = (weight / spread(scales, block, weight.shape)).clamp(-448, 448)
    return codes.to(torch.float8_e4m3fn), scales


def test_every_code_is_e4m3():
    codes = torch.arange(256, dtype=torch.uint8)
    np.testing.assert_array_equal(E4M3, codes.view(torch.float8_e4m3fn).float().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e8m0fnu])
@pytest.mark.parametrize("shape", [(128, 128), (384, 256), (130, 300), (5, 7), (257, 1)])
def test_a_weight_is_its_number_times_its_blocks_scale(shape, dtype, tmp_path):
    torch.manual_seed(3)
    codes = torch.randint(0, 256, shape, dtype=torch.uint8)
    codes[codes & 127 == 127] = 1
    blocks = (-(-shape[0] // 128), -(-shape[1] // 128))
    scales = (torch.rand(blocks) / 300).to(dtype)
    weight = codes.view(torch.float8_e4m3fn)
    tensors = {"x.weight": weight, "x.weight_scale_inv": scales}
    found = formats.open(folder_of(tmp_path, tensors, **fp8()))
    whole = weight.float() * spread(scales.float(), (128, 128), shape)
    theirs = whole.bfloat16().float().numpy()
    assert found.names() == ["x.weight"]
    assert found.layout("x.weight").form == BF16
    np.testing.assert_array_equal(found.tensor("x.weight").dequantize(), theirs)
    for rows in slice(0, 16), slice(120, 140), slice(256, 300):
        part = found.tensor("x.weight", rows).dequantize()
        np.testing.assert_array_equal(part, theirs[rows])
    if not (shape[0] % 128 or shape[1] % 128):
        made = Fp8Dequantize(None)._dequantize_one(weight, scales, torch.bfloat16)
        np.testing.assert_array_equal(theirs, made.float().numpy())


def test_rows_of_a_part_of_rows_keep_their_scales():
    codes, scales = torch.ones(300, 4).to(torch.float8_e4m3fn), torch.rand(3, 1)
    raw = codes.view(torch.uint8).numpy()
    whole = fp8_matrix("x", raw, Numbers("F32", scales.numpy()), (128, 128))
    part = whole.part(slice(100, 290)).part(slice(20, 190))
    for rows in slice(0, 16), slice(7, 170):
        expected = whole.read().codes[120:290][rows]
        np.testing.assert_array_equal(part.read(rows).codes, expected)
        np.testing.assert_array_equal(part.turned().turned().read(rows).codes, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_of_a_matrix_only_the_rows_asked_for_are_in_memory(dtype, tmp_path):
    weight = torch.ones(8192, 1024).to(dtype)
    scales = {"x.weight_scale_inv": torch.ones(64, 8)} if weight.element_size() == 1 else {}
    found = formats.open(folder_of(tmp_path, {"x.weight": weight} | scales, **fp8()))
    tracemalloc.start()
    found.tensor("x.weight", slice(4096, 4112))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # as fp32 the rows are 65 kB, the matrix is 34 MB


@pytest.mark.parametrize("block", [(128, 128), (8, 16)])
@pytest.mark.parametrize("original", [True, False], ids=["hub", "fused"])
@pytest.mark.parametrize("family", ["deepseek_v3", "mixtral"])
def test_an_fp8_model_is_the_bf16_model_of_its_numbers(family, original, block, tmp_path):
    """Experts, fused or not, and heads of keys and values whose rows begin within a block."""
    saved(tmp_path, family, original=original)
    kept = ("norm", "embed", "lm_head", "gate.")
    plain, coded = {}, {}

    def narrow(tensors):
        for name, tensor in tensors.items():
            plain[name] = coded[name] = tensor
            if tensor.ndim == 1 or any(part in name for part in kept):
                continue
            matrices = tensor if tensor.ndim == 3 else tensor[None]
            pairs = [quantized(one, block) for one in matrices]
            codes, scales = (
                torch.stack(of).reshape(-1, *of[0].shape) for of in zip(*pairs, strict=True)
            )
            whole = codes.float() * spread(scales, block, codes.shape)
            plain[name] = whole.bfloat16().float().reshape(tensor.shape)
            coded[name] = codes.reshape(tensor.shape)
            coded[f"{name}_scale_inv"] = scales if tensor.ndim == 3 else scales[0]
        return coded

    rewrite(tmp_path, narrow)
    set_config(tmp_path, **fp8(block=block))
    found = formats.open(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["quantization_config"]
    other = formats.open(folder_of(tmp_path / "plain", plain, **config))
    assert found.config == other.config
    assert set(found.names()) == set(other.names())
    for name in found.names():
        layout = found.layout(name)
        assert layout == other.layout(name)
        for index in range(layout.shape[0]) if len(layout.shape) == 3 else [None]:
            ours, theirs = found.tensor(name, index=index), other.tensor(name, index=index)
            if layout.form is not None:
                ours, theirs = ours.codes, theirs.codes
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def mxfp4_folder(tmp_path):
    """A gpt-oss with random blocks of experts, in rows of 64 inputs; and its tensors."""
    model = saved(tmp_path, "gpt_oss")
    torch.manual_seed(4)
    experts, wide, inner = 6, 32, 48
    sizes = {"gate_up_proj": (2 * inner, wide), "down_proj": (wide, inner // 32 * 32 + 32)}
    made = {}
    for layer in range(2):
        for kind, (rows, columns) in sizes.items():
            name = f"model.layers.{layer}.mlp.experts.{kind}"
            shape = (experts, rows, columns // 32)
            made[f"{name}_blocks"] = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8)
            made[f"{name}_scales"] = torch.randint(100, 140, shape, dtype=torch.uint8)

    floats = {name.rsplit("_", 1)[0]: None for name in made}
    change(tmp_path, made | floats)
    set_config(tmp_path, quantization_config={"quant_method": "mxfp4"})
    return model, made


def theirs_of(made, layer, kind):
    """transformers' weights of all experts, [E, outputs, inputs]."""
    name = f"model.layers.{layer}.mlp.experts.{kind}"
    given = made[f"{name}_blocks"], made[f"{name}_scales"]
    return convert_moe_packed_tensors(*given, dtype=torch.float32).swapaxes(1, 2).numpy()


def test_mxfp4_is_kept_exactly(tmp_path):
    model, made = mxfp4_folder(tmp_path / "source")
    found = formats.open(tmp_path / "source")
    assert set(found.names()) == set(expected(model))
    (tmp_path / "packed").mkdir()
    source = packed.Source("huggingface", "x", "0" * 64)
    packed.write(tmp_path / "packed", found.config, found, source=source, files={})
    back = packed.open(tmp_path / "packed").tensors
    for layer in range(2):
        both, down = theirs_of(made, layer, "gate_up_proj"), theirs_of(made, layer, "down_proj")
        for kind, theirs in {"gate": both[:, ::2], "up": both[:, 1::2], "down": down}.items():
            name = f"model.layers.{layer}.mlp.experts.{kind}_proj.weight"
            assert found.layout(name).form == E2M1
            assert found.layout(name).shape == theirs.shape
            for index, weight in enumerate(theirs):
                ours = found.tensor(name, index=index)
                np.testing.assert_array_equal(ours.dequantize(), weight)
                part = found.tensor(name, slice(16, 30), index)
                np.testing.assert_array_equal(part.dequantize(), weight[16:30])
                np.testing.assert_array_equal(back[name].matrix(index).dequantize(), weight)


@pytest.mark.parametrize("dtype", [torch.float8_e8m0fnu, torch.uint8, torch.float32])
def test_single_experts_in_fp4_are_kept_exactly(dtype, tmp_path):
    """Two numbers in an int8, a scale for 32: how DeepSeek publishes experts in FP4."""
    torch.manual_seed(6)
    exponents = torch.randint(100, 140, (24, 2), dtype=torch.uint8)
    scales = exponents if dtype is torch.uint8 else exponents.view(torch.float8_e8m0fnu).to(dtype)
    weight = torch.randint(-128, 128, (24, 32), dtype=torch.int8)
    tensors = {NAMED.replace(".1.", ".0."): weight}
    tensors |= {f"{name}_scale_inv": scales for name in tensors}
    found = formats.open(folder_of(tmp_path, tensors, **fp8()))
    (name,) = found.names()
    assert found.layout(name).form == E2M1
    made = Fp8Dequantize(None)._dequantize_one(weight, exponents, torch.float32)
    np.testing.assert_array_equal(found.tensor(name, index=0).dequantize(), made.numpy())


def expect(folder, *said):
    with pytest.raises(FormatError) as raised:
        found = formats.open(folder)
        for name in found.names():
            found.tensor(name, index=0 if len(found.layout(name).shape) == 3 else None)
    for text in said:
        assert text in str(raised.value)


CODES = torch.ones(130, 8).to(torch.float8_e4m3fn)
NAN = CODES.clone().view(torch.uint8)
NAN[129, 7] = 0xFF


@pytest.mark.parametrize(
    ("weight", "scales", "said"),
    [
        (CODES, None, "dtype F8_E4M3, without x.weight_scale_inv"),
        (None, torch.ones(2, 1), "scales of x.weight, which is missing"),
        (CODES, torch.ones(1, 2), "scales [1, 2] for 130 x 8"),
        (CODES, torch.ones(2), "a scale for each block"),
        (CODES, torch.ones(0, 1), "shape [0, 1]; numbers from 1"),
        (CODES.view(torch.int8), torch.tensor(1.0), "shape []; numbers from 1"),
        (CODES, torch.ones(2, 1, dtype=torch.int32), "dtype I32"),
        (CODES.bfloat16(), torch.ones(2, 1), "dtype BF16; read are F8_E4M3"),
        (NAN.view(torch.float8_e4m3fn), torch.ones(2, 1), "an FP8 code is NaN"),
        (CODES, torch.tensor([[1.0], [np.inf]]), "a scale is not finite"),
        (CODES.view(torch.int8), torch.ones(130, 1), "one for each 32"),
        (torch.zeros(2, 16, dtype=torch.int8), torch.full((2, 1), 3.0), "no power of two"),
        (torch.zeros(2, 16, dtype=torch.uint8), torch.full((2, 1), 255, dtype=torch.uint8), "NaN"),
        (torch.zeros(2, 3, 16, dtype=torch.int8), torch.ones(2, 3, 1), "shape [2, 3, 16]"),
    ],
)
def test_a_damaged_fp8_tensor_is_named(weight, scales, said, tmp_path):
    given = {"x.weight": weight, "x.weight_scale_inv": scales}
    tensors = {name: tensor for name, tensor in given.items() if tensor is not None}
    expect(folder_of(tmp_path, tensors, **fp8()), "tensor 'x.weight", said)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fmt": "e5m2"}, "fmt 'e5m2'; e4m3"),
        ({"activation_scheme": "static"}, "activation_scheme 'static'; dynamic"),
        ({"weight_block_size": None}, "weight_block_size None"),
        ({"weight_block_size": [128]}, "weight_block_size [128]"),
        ({"weight_block_size": [0, 128]}, "weight_block_size [0, 128]"),
        ({"weight_block_size": [True, 128]}, "weight_block_size [True, 128]"),
        (
            {"quant_method": "hqq"},
            "quantized by 'hqq', which is not read; read are fp8, mxfp4, gptq, awq, compressed-",
        ),
        ({"quant_method": ["fp8"]}, "quantized by ['fp8']"),
    ],
)
def test_other_quantizations_are_refused_by_name(settings, said, tmp_path):
    given = fp8()["quantization_config"] | settings
    expect(folder_of(tmp_path, {"x.weight": CODES}, quantization_config=given), said)


def test_fp8_without_a_word_of_it_in_the_config_is_refused(tmp_path):
    tensors = {"x.weight": CODES, "x.weight_scale_inv": torch.ones(2, 1)}
    expect(folder_of(tmp_path, tensors), "'x.weight'", "dtype F8_E4M3; read are BF16, F16, F32")


@pytest.mark.parametrize(
    ("ending", "tensor", "said"),
    [
        ("gate_up_proj_scales", None, "its scales, model.layers.0.mlp.experts.gate_up_proj_scales"),
        ("gate_up_proj_blocks", None, "gate_up_proj_blocks, which is missing"),
        (
            "down_proj_scales",
            torch.zeros(6, 32, 3, dtype=torch.uint8),
            "[6, 32, 2, 16] with scales",
        ),
        ("down_proj_scales", torch.full((6, 32, 2), 255, dtype=torch.uint8), "E8M0 255"),
        ("down_proj_blocks", torch.zeros(6, 32, 2, 16, dtype=torch.int8), "dtype I8"),
        ("down_proj_blocks", torch.zeros(6, 32, 2, 8, dtype=torch.uint8), "[E, N, K/32, 16]"),
        ("down_proj", torch.zeros(6, 64, 32), "a second tensor for"),
    ],
)
def test_damaged_mxfp4_is_named(ending, tensor, said, tmp_path):
    mxfp4_folder(tmp_path)

    change(tmp_path, {f"model.layers.0.mlp.experts.{ending}": tensor})
    expect(tmp_path, said)


def test_experts_of_gpt_oss_in_fp8_are_refused(tmp_path):
    name = "model.layers.0.mlp.experts.gate_up_proj"
    tensors = {
        name: torch.ones(2, 8, 8).to(torch.float8_e4m3fn),
        f"{name}_scale_inv": torch.ones(2, 1, 1),
    }
    expect(
        folder_of(tmp_path, tensors, model_type="gpt_oss", **fp8()), name, "floats and MXFP4 alone"
    )


def test_keys_and_values_in_fp4_are_refused(tmp_path):
    name = "model.layers.0.self_attn.kv_b_proj.weight"
    sizes = {"num_attention_heads": 2, "qk_nope_head_dim": 4, "v_head_dim": 4}
    scales = torch.full((16, 1), 120, dtype=torch.uint8)
    tensors = {name: torch.zeros(16, 16, dtype=torch.int8), f"{name}_scale_inv": scales}
    expect(folder_of(tmp_path, tensors, **sizes, **fp8()), name, "FP4")
