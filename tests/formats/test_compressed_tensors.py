"""What compressed-tensors packs is read to the bit, whatever its strategy, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from code_packers import folder_of
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from held import our_logits
from small_families import FAMILIES, SMALL, rewrite, set_config

from farthing import formats
from farthing.errors import FormatError
from farthing.weight import Form

NAME = "model.layers.0.mlp.down_proj"
PACK = "pack-quantized"
ARGS = {
    "num_bits": 4,
    "type": "int",
    "symmetric": True,
    "strategy": "group",
    "group_size": 32,
    "dynamic": False,
    "actorder": None,
}


def config(*args, format=PACK, **more):
    groups = {
        f"group_{at}": {
            "targets": ["re:(a+)+$" if at else "Linear"],
            "weights": one,
            "input_activations": None,
            "output_activations": None,
        }
        for at, one in enumerate(args)
    }
    settings = {
        "quant_method": "compressed-tensors",
        "format": format,
        "config_groups": groups,
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
        "quantization_status": "compressed",
    }
    return {"quantization_config": settings | more}


def compressed(args, shape, format=PACK, dtype=torch.bfloat16, seed=0):
    """What the library makes of random weights, and the weights it reads back, in fp32."""
    torch.manual_seed(seed)
    rows, columns = shape
    group = {"group": args["group_size"], "channel": columns, "tensor": columns}[args["strategy"]]
    wide = (1,) if args["strategy"] == "tensor" else (rows, columns // group)
    bits = args["num_bits"]
    scale = (torch.rand(wide) * 0.01 + 0.001).to(dtype)
    zero = torch.randint(-(1 << (bits - 1)), 1 << (bits - 1), wide, dtype=torch.int8)
    state = {"weight": torch.randn(shape).to(dtype) / 50, "weight_scale": scale}
    if not args["symmetric"]:
        state["weight_zero_point"] = zero
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
    compressor = BaseCompressor.get_value_from_registry(format)
    made = compressor.compress(state, scheme)
    wider = made | {"weight_scale": made["weight_scale"].float()}
    back = compressor.decompress(wider, scheme)["weight"].float().numpy()
    return made, back


@pytest.mark.parametrize(("format", "bits"), [(PACK, 4), (PACK, 8), ("int-quantized", 8)])
@pytest.mark.parametrize(
    ("dtype", "symmetric"),
    # fp32 scales of codes with zeros are refused, as GPTQ's tests show
    [
        (torch.bfloat16, True),
        (torch.bfloat16, False),
        (torch.float16, True),
        (torch.float16, False),
        (torch.float32, True),
    ],
)
@pytest.mark.parametrize(
    ("strategy", "group"),
    [*(("group", group) for group in (32, 64, 128, 256)), ("channel", None), ("tensor", None)],
)
def test_what_the_library_packs_is_read_as_it_reads_it(
    strategy, group, bits, symmetric, dtype, format, tmp_path
):
    args = ARGS | {"num_bits": bits, "symmetric": symmetric, "strategy": strategy}
    args |= {"group_size": group}
    made, expected = compressed(args, (27, 512), format, dtype)
    tensors = {f"{NAME}.{name}": tensor for name, tensor in made.items()}
    found = formats.open(folder_of(tmp_path, tensors, **config(args, format=format)))
    (name,) = found.names()
    assert name == f"{NAME}.weight"
    scale = "f16" if dtype == torch.float16 else "f32"
    offset = "none" if symmetric else {"f16": "zero", "f32": "min"}[scale]
    kept = group if group in (32, 64) else 128
    assert found.layout(name).form == Form(bits=bits, group=kept, scale=scale, offset=offset)
    np.testing.assert_array_equal(found.tensor(name).dequantize(), expected)
    for rows in slice(0, 16), slice(19, 27), slice(3, 20, 5):
        np.testing.assert_array_equal(found.tensor(name, rows).dequantize(), expected[rows])


@pytest.mark.parametrize("columns", [40, 100])
def test_columns_that_fill_no_word_are_read(columns, tmp_path):
    args = ARGS | {"strategy": "channel", "group_size": None}
    made, expected = compressed(args, (5, columns))
    tensors = {f"{NAME}.{name}": tensor for name, tensor in made.items()}
    found = formats.open(folder_of(tmp_path, tensors, **config(args)))
    np.testing.assert_array_equal(found.tensor(f"{NAME}.weight").dequantize(), expected)


def test_each_tensor_finds_its_scheme_by_its_shapes(tmp_path):
    """And the targets, which hold a regular expression that would never end, are not run."""
    eight = ARGS | {"num_bits": 8, "strategy": "channel", "group_size": None}
    other = ARGS | {"symmetric": False}
    tensors, expected = {}, {}
    for at, args in enumerate((ARGS, eight, other)):
        name = f"model.layers.{at}.mlp.{'a' * 60}"
        made, expected[f"{name}.weight"] = compressed(args, (16, 64), seed=at, dtype=torch.float16)
        tensors |= {f"{name}.{part}": tensor for part, tensor in made.items()}
    found = formats.open(folder_of(tmp_path, tensors, **config(ARGS, eight, other)))
    for name, weight in expected.items():
        np.testing.assert_array_equal(found.tensor(name).dequantize(), weight)


def kimi(folder: Path) -> None:
    """As Kimi K2 is published: DeepSeek-V3 with its routed experts in int4, groups of 32."""
    torch.manual_seed(7)
    given = SMALL | FAMILIES["deepseek_v3"] | {"moe_intermediate_size": 32}
    settings = transformers.AutoConfig.for_model("deepseek_v3", **given)
    model = transformers.AutoModelForCausalLM.from_config(settings).float()
    for tensor in model.state_dict().values():
        tensor.copy_((tensor + torch.randn_like(tensor) / 4).bfloat16())
    model.save_pretrained(folder)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**ARGS))

    def pack(tensors):
        made = {}
        for name, tensor in tensors.items():
            if ".mlp.experts." not in name:
                made[name] = tensor
                continue
            scale = tensor.abs().amax(1, keepdim=True) / 7
            state = {"weight": tensor, "weight_scale": scale.bfloat16().float()}
            parts = BaseCompressor.get_value_from_registry(PACK).compress(state, scheme)
            parts["weight_shape"] = parts["weight_shape"].int()
            stem = name.removesuffix("weight")
            made |= {stem + part: tensor for part, tensor in parts.items()}
        return made

    rewrite(folder, pack)
    kept = ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*"]
    kept += [r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", r"re:.*mlp\.gate$"]
    set_config(folder, **config(ARGS, ignore=kept))


def test_a_mixture_with_experts_in_int4_is_the_one_that_transformers_loads(tmp_path):
    kimi(tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    tokens = [3, 30, 1, 4, 29, 17, 8, 35, 2, 11]
    with torch.no_grad():
        expected = theirs.eval()(torch.tensor([tokens])).logits[0].numpy()
    set_config(tmp_path, model_type="kimi_k2")
    found = formats.open(tmp_path)
    layout = found.layout("model.layers.1.mlp.experts.up_proj.weight")
    assert layout.form == Form(bits=4, group=32, scale="f32", offset="none")
    assert layout.shape == (6, 32, 32)
    ours = our_logits(found.config, found, tokens)
    assert np.ptp(ours) > 1
    np.testing.assert_allclose(ours, expected, atol=1e-4)


GROUP = {"targets": ["Linear"], "weights": ARGS}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "float-quantized"}, "format 'float-quantized'"),
        ({"quantization_status": "frozen"}, "quantization_status 'frozen'"),
        ({"kv_cache_scheme": {"num_bits": 8}}, "kv_cache_scheme {'num_bits': 8}"),
        ({"transform_config": {"config_groups": {"R1": {}}}}, "transform_config"),
        ({"sparsity_config": {"format": "sparse-24"}}, "sparsity_config"),
        ({"config_groups": {}}, "config_groups {}"),
        ({"config_groups": {"W4A16": ["Linear"]}}, "W4A16 is ['Linear']"),
        ({"config_groups": {"g": GROUP | {"weights": ARGS | {"num_bits": 3}}}}, "3 bits"),
        ({"config_groups": {"g": GROUP | {"weights": ARGS | {"type": "float"}}}}, "type 'float'"),
        (
            {"config_groups": {"g": GROUP | {"weights": ARGS | {"strategy": "block"}}}},
            "strategy 'block'",
        ),
        ({"config_groups": {"g": GROUP | {"input_activations": ARGS}}}, "(dynamic) to int8"),
        (
            {"config_groups": {"g": GROUP | {"input_activations": ARGS | {"dynamic": True}}}},
            "num_bits 4; 8",
        ),
        ({"config_groups": {"g": GROUP | {"output_activations": ARGS}}}, "output_activations"),
    ],
)
def test_settings_that_are_not_read_are_named(changed, said, tmp_path):
    made, _ = compressed(ARGS, (16, 64))
    tensors = {f"{NAME}.{name}": tensor for name, tensor in made.items()}
    with pytest.raises(FormatError) as raised:
        formats.open(folder_of(tmp_path, tensors, **config(ARGS, **changed)))
    assert said in str(raised.value)


def test_activations_that_are_quantized_as_they_come_are_let_pass(tmp_path):
    inputs = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
    args = ARGS | {"num_bits": 8, "strategy": "channel", "group_size": None}
    made, expected = compressed(args, (16, 64), "int-quantized")
    tensors = {f"{NAME}.{name}": tensor for name, tensor in made.items()}
    groups = {"g": GROUP | {"weights": args, "input_activations": inputs}}
    settings = config(format="int-quantized", config_groups=groups)
    found = formats.open(folder_of(tmp_path, tensors, **settings))
    np.testing.assert_array_equal(found.tensor(f"{NAME}.weight").dequantize(), expected)


ZEROS = torch.zeros(16, 2, dtype=torch.int8)


@pytest.mark.parametrize(
    ("part", "tensor", "said"),
    [
        ("scale", None, "weight_scale is missing"),
        ("shape", None, "weight_shape is missing"),
        ("packed", None, f"{NAME}.weight, which is missing"),
        ("shape", torch.tensor([17, 64]), "17 x 64; [16, 8] are packed"),
        ("shape", torch.tensor([16, -1]), "are packed"),
        ("shape", torch.tensor([16, 1 << 60]), "are packed"),
        ("shape", torch.tensor([16, 72]), "for 72 inputs"),
        ("shape", torch.tensor([16, 64, 1]), "shape [3]; [2] expected"),
        ("scale", torch.ones(16, 3), "scales [16, 3]"),
        ("scale", torch.ones(15, 2), "numbers [15, 2]; [16, 2] expected"),
        ("scale", torch.ones(16, 2, dtype=torch.int32), "dtype I32"),
        ("packed", torch.ones(16, 8), "dtype F32"),
        ("packed", torch.ones(128, dtype=torch.int32), "dtype I32"),
        ("zero_point", ZEROS + 1, "a zero of 9"),
        ("zero_point", ZEROS - 9, "a zero beyond 4 bits"),
        ("zero_point", torch.ones(3, 2, dtype=torch.int32), "zeros [3, 2]; [2, 2] expected"),
        ("g_idx", torch.arange(64, dtype=torch.int32) % 2, "column 1 is of group 1"),
    ],
)
def test_a_damaged_tensor_is_named(part, tensor, said, tmp_path):
    made, _ = compressed(ARGS, (16, 64))
    made = {**made, f"weight_{part}": tensor}
    tensors = {f"{NAME}.{name}": one for name, one in made.items() if one is not None}
    with pytest.raises(FormatError) as raised:
        found = formats.open(folder_of(tmp_path, tensors, **config(ARGS)))
        found.tensor(f"{NAME}.weight")
    assert said in str(raised.value), str(raised.value)


@pytest.mark.parametrize(
    "index", [torch.arange(64) // 32, torch.full((64,), -1)], ids=["runs", "none"]
)
def test_an_index_in_order_is_read(index, tmp_path):
    made, expected = compressed(ARGS, (16, 64))
    made["weight_g_idx"] = index.int()
    tensors = {f"{NAME}.{name}": one for name, one in made.items()}
    settings = config(ARGS | {"actorder": "group"})
    found = formats.open(folder_of(tmp_path, tensors, **settings))
    np.testing.assert_array_equal(found.tensor(f"{NAME}.weight").dequantize(), expected)


def test_zeros_that_say_what_symmetric_does_change_nothing(tmp_path):
    made, expected = compressed(ARGS, (16, 64))
    made["weight_zero_point"] = ZEROS
    tensors = {f"{NAME}.{name}": one for name, one in made.items()}
    found = formats.open(folder_of(tmp_path, tensors, **config(ARGS)))
    assert found.layout(f"{NAME}.weight").form.offset == "none"
    np.testing.assert_array_equal(found.tensor(f"{NAME}.weight").dequantize(), expected)
