"""A GGUF file read as Hugging Face would have it: names, config keys, row order, rotation."""

import gguf
import numpy as np
import pytest

import checkpoints as toy
from farthing import formats, models
from farthing.errors import FormatError
from farthing.formats.gguf_rope import llama3_factors
from farthing.weight import Matrix


def write(tmp_path, *settings, architecture="llama", tensors=None, **changed):
    path = tmp_path / "model.gguf"
    pairs = toy.toy_settings(architecture, **changed) + list(settings) + toy.vocabulary()
    path.write_bytes(toy.gguf_bytes(pairs, tensors or toy.toy_tensors()))
    return path


def numbers(tensor):
    return tensor.dequantize() if isinstance(tensor, Matrix) else tensor


def f32(name: str, values) -> dict:
    array = np.asarray(values, "<f4")
    return {name: (array.shape, "F32", array.tobytes())}


def test_names_and_config_are_hugging_faces(tmp_path):
    found = formats.open(write(tmp_path))
    assert set(found.names()) == {toy.hf_name(name) for name in toy.SHAPES}
    for key, value in toy.CONFIG.items():
        assert found.config[key] == value, key
    assert found.config["head_dim"] == 16
    assert found.config["rope_theta"] == 10000.0
    assert (found.config["bos_token_id"], found.config["eos_token_id"]) == (0, 1)
    models.load(found.config, {name: found.layout(name) for name in found.names()})


def test_files_of_the_official_writer_are_read(tmp_path):
    path = tmp_path / "official.gguf"
    random, arrays = np.random.default_rng(0), {}
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(16)
    writer.add_value_length(16)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    for name in ("blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight"):
        arrays[name] = random.standard_normal(16).astype(np.float32)
    for name, shape in toy.SHAPES.items():
        arrays[name] = random.standard_normal(shape).astype(np.float32)
    for name, array in arrays.items():
        if array.ndim == 2:
            raw = gguf.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            arrays[name] = gguf.dequantize(raw, gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = formats.open(path)
    assert found.config["model_type"] == "qwen3"
    assert (found.config["rms_norm_eps"], found.config["rope_theta"]) == (1e-6, 1e6)
    models.load(found.config, {name: found.layout(name) for name in found.names()})
    np.testing.assert_array_equal(
        numbers(found.tensor("model.layers.0.self_attn.q_norm.weight")),
        arrays["blk.0.attn_q_norm.weight"],
    )
    for name in ("blk.0.attn_q.weight", "blk.0.ffn_down.weight"):
        np.testing.assert_array_equal(numbers(found.tensor(toy.hf_name(name))), arrays[name])


def interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """How llama.cpp's converter orders the rows of q and k: pairs i and i + d/2 side by side."""
    d = len(rows) // heads
    order = [h * d + i + s * d // 2 for h in range(heads) for i in range(d // 2) for s in (0, 1)]
    return rows[order]


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_only_llama_has_its_q_and_k_rows_put_back(architecture, tmp_path):
    random, tensors, expected = np.random.default_rng(1), toy.toy_tensors(), {}
    for name, heads in (("attn_q", 2), ("attn_k", 1), ("attn_v", 1)):
        rows = 16 * heads
        given = random.integers(-8, 8, (rows, 32)).astype("<f4")
        bias = np.arange(rows, dtype="<f4")
        moved = architecture == "llama" and name != "attn_v"
        for part, values in (("weight", given), ("bias", bias)):
            stored = interleaved(values, heads) if moved else values
            tensors |= f32(f"blk.0.{name}.{part}", stored)
            expected[f"model.layers.0.{toy.HF_NAMES[name]}.{part}"] = values
    found = formats.open(write(tmp_path, architecture=architecture, tensors=tensors))
    assert found.config["attention_bias"] is True
    if architecture == "qwen2":
        models.load(found.config, {name: found.layout(name) for name in found.names()})
    for name, values in expected.items():
        np.testing.assert_array_equal(numbers(found.tensor(name)), values)


def test_quantized_rows_move_with_their_scales(tmp_path):
    random, tensors = np.random.default_rng(2), toy.toy_tensors()
    given = random.standard_normal((32, 32)).astype(np.float32)
    kind = gguf.GGMLQuantizationType.Q4_1
    raw = gguf.quantize(interleaved(given, 2), kind)
    tensors["blk.0.attn_q.weight"] = ((32, 32), "Q4_1", raw.tobytes())
    found = formats.open(write(tmp_path, tensors=tensors))
    expected = gguf.dequantize(gguf.quantize(given, kind), kind)
    np.testing.assert_array_equal(
        numbers(found.tensor("model.layers.0.self_attn.q_proj.weight")), expected
    )


def test_an_output_of_its_own_unties_the_head(tmp_path):
    tensors = toy.toy_tensors() | f32("output.weight", np.ones((8, 32)))
    found = formats.open(write(tmp_path, tensors=tensors))
    assert found.config["tie_word_embeddings"] is False
    assert "lm_head.weight" in found.names()


def test_every_id_that_ends_an_answer_is_kept(tmp_path):
    found = formats.open(write(tmp_path, toy.pair("tokenizer.ggml.eot_token_id", "u32", 5)))
    assert found.generation["eos_token_id"] == [1, 5]


def test_linear_scaling(tmp_path):
    path = write(
        tmp_path, rope__scaling__type=("string", "linear"), rope__scaling__factor=("f32", 4.0)
    )
    assert formats.open(path).config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


def test_a_factor_without_a_kind_is_linear_as_in_llama_cpp(tmp_path):
    path = write(tmp_path, rope__scaling__factor=("f32", 4.0))
    assert formats.open(path).config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


def test_yarn_scaling(tmp_path):
    path = write(
        tmp_path,
        rope__scaling__type=("string", "yarn"),
        rope__scaling__factor=("f32", 4.0),
        rope__scaling__original_context_length=("u32", 16),
    )
    found = formats.open(path).config["rope_scaling"]
    assert (found["rope_type"], found["factor"]) == ("yarn", 4.0)
    assert found["original_max_position_embeddings"] == 16


def llama3(factor: float) -> dict:
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_llama3_scaling_is_known_by_its_divisors(factor, tmp_path):
    theta = 500000.0
    factors = llama3_factors(theta, 8, llama3(factor)).astype(np.float32)
    assert len(set(factors.tolist())) > 2  # some between one and the factor
    tensors = toy.toy_tensors() | f32("rope_freqs.weight", factors)
    path = write(tmp_path, tensors=tensors, rope__freq_base=("f32", theta))
    assert formats.open(path).config["rope_scaling"] == llama3(factor)


def test_llama3_divisors_are_transformers():
    """Our formula against the frequencies that transformers computes."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = llama3(8.0) | {"rope_theta": 500000.0}
    config = LlamaConfig(
        hidden_size=256,
        num_attention_heads=2,
        head_dim=128,
        max_position_embeddings=131072,
        rope_parameters=scaling,
    )
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 500000.0 ** -(np.arange(64) / 64)
    np.testing.assert_allclose(
        plain / scaled.numpy(), llama3_factors(500000.0, 64, llama3(8.0)), rtol=1e-5
    )


def test_a_window_makes_it_mistral(tmp_path):
    found = formats.open(write(tmp_path, attention__sliding_window=("u32", 16)))
    assert (found.config["model_type"], found.config["sliding_window"]) == ("mistral", 16)


REFUSED = {
    "experts in a dense family": (
        {"architecture": "qwen2", "expert_count": ("u32", 8)},
        "expert_count",
    ),
    "unknown scaling": ({"rope__scaling__type": ("string", "longrope")}, "known are none"),
    "partial rotation": ({"rope__dimension_count": ("u32", 8)}, "rope.dimension_count"),
    "a missing key": ({"embedding_length": None}, "embedding_length"),
    "a text for a number": ({"block_count": ("string", "one")}, "block_count"),
    "no heads": ({"attention__head_count": ("u32", 0)}, "0 heads"),
    "heads by layer": ({"attention__head_count": ("array", ("u32", [2, 1]))}, "head_count"),
    "a base that is no number": ({"rope__freq_base": ("f32", float("nan"))}, "freq_base"),
    "a negative epsilon": ({"attention__layer_norm_rms_epsilon": ("f32", -1.0)}, "epsilon"),
    "not causal": ({"attention__causal": ("bool", False)}, "causal"),
    "other logits": ({"logit_scale": ("f32", 2.0)}, "logit_scale"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_answer_is_refused_by_name(name, tmp_path):
    changed, said = REFUSED[name]
    with pytest.raises(FormatError, match=said):
        formats.open(write(tmp_path, **changed))


def test_an_unknown_architecture_is_named_with_the_known(tmp_path):
    with pytest.raises(FormatError, match=r"'mamba'.*llama, qwen2, qwen3"):
        formats.open(write(tmp_path, architecture="mamba"))


def test_an_unknown_tensor_is_named(tmp_path):
    tensors = toy.toy_tensors() | f32("blk.0.ssm_a.weight", np.ones(4))
    with pytest.raises(FormatError, match="ssm_a"):
        formats.open(write(tmp_path, tensors=tensors))


def test_a_table_that_divides_by_one_scales_nothing(tmp_path):
    tensors = toy.toy_tensors() | f32("rope_freqs.weight", np.ones(8))
    assert "rope_scaling" not in formats.open(write(tmp_path, tensors=tensors)).config


def test_other_frequency_tables_are_refused(tmp_path):
    tensors = toy.toy_tensors() | f32("rope_freqs.weight", np.linspace(1, 9, 8))
    with pytest.raises(FormatError, match="rope_freqs"):
        formats.open(write(tmp_path, tensors=tensors))


def test_one_part_of_several_is_refused(tmp_path):
    with pytest.raises(FormatError, match="one part of 3"):
        formats.open(write(tmp_path, toy.pair("split.count", "u32", 3)))
