"""A folder in compressed-tensors' layout: transformers loads it and says the same as we do."""

import json

import numpy as np
import pytest
import torch
import transformers
from held import INT4, INT8, MINIMUM, ZERO, Held, held, model_of, our_logits, quantized

from farthing import formats
from farthing.errors import FormatError
from farthing.formats import hf_write
from farthing.formats.types import Layout
from farthing.weight import BF16, E2M1, Form

TOKENS = [3, 60, 1, 44, 29, 17, 8, 55, 2, 71]
LINEARS = {"_proj.weight": INT4}
WIDE = Form(bits=4, group=128, scale="f16", offset="none")
LONG = Form(bits=4, group=32, scale="f32", offset="none")


def their_logits(folder, **settings):
    if settings:
        settings = {"quantization_config": transformers.CompressedTensorsConfig(**settings)}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, **settings
    )
    with torch.no_grad():
        return model.eval()(torch.tensor([TOKENS])).logits[0].numpy()


def written(folder, model, tensors, **files):
    folder.mkdir()
    config = model.config.to_dict()
    told = hf_write.write(folder, config, tensors, files=files)
    assert told == hf_write.check(config, {name: tensors.layout(name) for name in tensors.names()})
    return told


def nearness(tensors):
    """The library rounds products of experts to the type of their scales."""
    forms = (tensors.layout(name).form for name in tensors.names() if ".experts." in name)
    return 1e-3 if any(form.scale == "f16" for form in forms) else 3e-5


def assert_equal(found, expected):
    assert found.names() == expected.names() or set(found.names()) == set(expected.names())
    for name in expected.names():
        layout = expected.layout(name)
        assert found.layout(name) == layout, name
        for index in range(layout.shape[0]) if len(layout.shape) == 3 else [None]:
            ours, theirs = found.tensor(name, index=index), expected.tensor(name, index=index)
            if layout.form is None:
                np.testing.assert_array_equal(ours, theirs, err_msg=name)
                continue
            for field in ("codes", "scale", "minimum", "zero"):
                one, other = getattr(ours, field), getattr(theirs, field)
                assert (one is None) == (other is None), (name, field)
                if other is not None:
                    np.testing.assert_array_equal(one, other, err_msg=f"{name} {field}")


@pytest.mark.parametrize(
    ("family", "forms"),
    [
        ("llama", LINEARS),
        ("mistral", {"_proj.weight": INT8}),
        ("qwen2", {"_proj.weight": WIDE}),
        ("qwen3", {"_proj.weight": LONG}),
        ("llama", {"_proj.weight": INT4, "down_proj.weight": INT8, "lm_head.weight": INT8}),
        ("qwen2_moe", LINEARS),
        ("qwen3_moe", LINEARS),
        ("qwen3_moe", {"_proj.weight": LONG}),
        ("qwen3_moe", {"_proj.weight": INT8, "experts.up_proj.weight": INT4}),
        ("qwen3_moe", LINEARS | {"q_proj.weight": INT8, "lm_head.weight": INT8}),
        ("olmoe", LINEARS),
        ("mixtral", LINEARS),
    ],
)
def test_transformers_says_the_same_of_it_as_we_do(family, forms, tmp_path):
    model = model_of(family)
    tensors = held(model, forms)
    if "experts.up_proj.weight" in forms:
        with pytest.raises(FormatError, match="experts in several forms"):
            written(tmp_path / "out", model, tensors)
        return
    told = written(tmp_path / "out", model, tensors)
    assert any("scales are fp16" in line for line in told) == (LONG not in forms.values())
    ours = our_logits(model.config.to_dict(), tensors, TOKENS)
    assert np.ptp(ours) > 1
    theirs = their_logits(tmp_path / "out")
    np.testing.assert_allclose(theirs, ours, atol=nearness(tensors))
    assert_equal(formats.open(tmp_path / "out"), tensors)


@pytest.mark.filterwarnings("ignore:You passed `quantization_config`")
def test_zeros_go_over_as_they_are(tmp_path):
    model = model_of("llama")
    tensors = held(model, {"_proj.weight": ZERO})
    told = written(tmp_path / "out", model, tensors)
    assert any("dequantize=True" in line for line in told)
    ours = our_logits(model.config.to_dict(), tensors, TOKENS)
    theirs = their_logits(tmp_path / "out", dequantize=True)
    np.testing.assert_allclose(theirs, ours, atol=3e-3)  # the library rounds products to fp16
    assert_equal(formats.open(tmp_path / "out"), tensors)


def test_embeddings_and_routers_become_bf16_and_that_is_told(tmp_path):
    model = model_of("qwen3_moe", tie_word_embeddings=True)
    forms = LINEARS | {"embed_tokens.weight": INT8, "mlp.gate.weight": INT8}
    tensors = held(model, forms)
    told = written(tmp_path / "out", model, tensors)
    assert [line.partition(":")[0] for line in told if "become bf16" in line] == [
        "model.embed_tokens.weight",
        *(f"model.layers.{layer}.mlp.gate.weight" for layer in range(2)),
    ]
    found = formats.open(tmp_path / "out")
    for name in tensors.names():
        if name.endswith(("embed_tokens.weight", "mlp.gate.weight")):
            expected = torch.from_numpy(tensors.tensor(name).dequantize()).bfloat16().float()
            assert found.layout(name).form == BF16
            np.testing.assert_array_equal(found.tensor(name).dequantize(), expected.numpy())
    ours = our_logits(found.config, found, TOKENS)
    np.testing.assert_allclose(their_logits(tmp_path / "out"), ours, atol=nearness(tensors))


def test_what_is_kept_whole_is_written_without_a_word_of_quantization(tmp_path):
    model = model_of("qwen2")
    tensors = held(model, {})
    assert written(tmp_path / "out", model, tensors) == []
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "quantization_config" not in config
    ours = our_logits(model.config.to_dict(), tensors, TOKENS)
    np.testing.assert_allclose(their_logits(tmp_path / "out"), ours, atol=3e-5)


def test_shards_and_pieces_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(hf_write, "SHARD", 40_000)
    monkeypatch.setattr(hf_write, "PIECE", 1)
    model = model_of("qwen3_moe")
    tensors = held(model, LINEARS | {"lm_head.weight": ZERO})
    written(tmp_path / "out", model, tensors, **{"tokenizer.json": "{}"})
    names = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(names) > 3
    assert names[0] == f"model-00001-of-{len(names):05}.safetensors"
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "{}"
    assert_equal(formats.open(tmp_path / "out"), tensors)


def test_progress_ends_with_all_bytes(tmp_path):
    heard = []
    model = model_of("llama")
    tensors, config = held(model, LINEARS), model.config.to_dict()
    hf_write.write(tmp_path, config, tensors, files={}, progress=lambda *each: heard.append(each))
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1]
    size = (tmp_path / "model.safetensors").stat().st_size
    assert heard[-1][1] < size < heard[-1][1] + 20_000


NAME = "model.layers.0.mlp.down_proj.weight"
STACK = "model.layers.0.mlp.experts.down_proj.weight"
Q4_K = Form(bits=4, group=32, scale="two_level", offset="min")


@pytest.mark.parametrize(
    ("name", "layout", "said"),
    [
        (NAME, Layout((64, 64), MINIMUM), "adds a minimum that is no whole number of scales"),
        (NAME, Layout((64, 64), Q4_K), "no place for 4-two_level-min"),
        (NAME, Layout((64, 64), E2M1), "no place for 4-e8m0-e2m1"),
        (NAME, Layout((64, 96), WIDE), "groups of 128 in rows of 96"),
        (STACK, Layout((4, 64, 64), ZERO), "experts with zeros"),
        (NAME, Layout((4, 8), None), "a table [4, 8]"),
    ],
)
def test_what_has_no_counterpart_is_refused_before_anything_is_read(name, layout, said):
    with pytest.raises(FormatError) as raised:
        hf_write.check({"model_type": "llama"}, {name: layout})
    assert name in str(raised.value)
    assert said in str(raised.value)


def test_other_families_are_refused_by_name():
    with pytest.raises(FormatError, match=r"'gpt_oss' are not written.*llama"):
        hf_write.check({"model_type": "gpt_oss"}, {})


def test_a_zero_that_is_no_code_is_refused(tmp_path):
    matrix = quantized(np.random.default_rng(0).standard_normal((8, 32), np.float32), ZERO)
    assert matrix.zero is not None
    matrix.zero[3, 0] = 16
    with pytest.raises(FormatError, match=f"{NAME}: a zero beyond 0 to 15"):
        hf_write.write(tmp_path, {"model_type": "llama"}, Held({NAME: matrix}), files={})
    assert not list(tmp_path.glob("*.safetensors"))
