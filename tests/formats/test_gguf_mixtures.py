"""Mixtures and latent attention in GGUF: what was written comes back, by our names, exactly."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import gguf_cases as cases
import gguf_models as models
from farthing import formats
from farthing import models as pages
from farthing.formats import packed
from farthing.weight import BF16, Matrix, bf16_to_f32, f32_to_bf16
from gguf_cases import made

V3 = "model.layers.1."


def numbers(found: Any, name: str) -> np.ndarray:
    """A tensor as fp32 in its own shape, stack or not."""
    layout = found.layout(name)
    if layout.form is None:
        return found.tensor(name)
    if len(layout.shape) == 2:
        return found.tensor(name).dequantize()
    return np.stack([found.tensor(name, index=e).dequantize() for e in range(layout.shape[0])])


def assert_holds(found: Any, arrays: models.Arrays) -> None:
    assert set(found.names()) == set(arrays)
    for name, array in arrays.items():
        assert found.layout(name).shape == array.shape, name
        np.testing.assert_array_equal(numbers(found, name), array, err_msg=name)


@pytest.mark.parametrize("case", cases.CASES)
def test_every_tensor_comes_back(case: str, tmp_path: Path) -> None:
    found = made(tmp_path, case)
    assert_holds(found, cases.arrays_of(cases.config_of(case)))
    assert found.unused == []


@pytest.mark.parametrize("case", cases.CASES)
def test_the_config_is_that_of_transformers(case: str, tmp_path: Path) -> None:
    theirs, ours = cases.config_of(case), made(tmp_path, case).config
    rope = dict(theirs["rope_parameters"])
    assert ours["rope_theta"] == rope.pop("rope_theta")
    assert ours.get("partial_rotary_factor", 1) == rope.pop("partial_rotary_factor", 1)
    assert ours.get("rope_scaling", {"rope_type": "default"}) == rope
    shared = {key for key in ours if theirs.get(key) is not None} - {"architectures"}
    assert {"model_type", "num_experts_per_tok", "rms_norm_eps"} <= shared
    assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}


def test_a_file_without_yarn_says_so_where_the_family_has_it(tmp_path: Path) -> None:
    found = made(tmp_path, "gpt-oss", rope__scaling__type="none")
    assert found.config["rope_scaling"] == {"rope_type": "default"}


def test_deepseek_16b_has_plain_heads_and_its_own_family(tmp_path: Path) -> None:
    config = cases.DEEPSEEK_16B
    arrays = cases.arrays_of(config)
    keys = models.keys_of(config) | {"rope.scaling.type": "none"}
    models.write(tmp_path / "a.gguf", "deepseek", keys, models.tensors_of(config, arrays))
    found = formats.open(tmp_path / "a.gguf")
    assert_holds(found, arrays)
    pages.load(found.config, {name: found.layout(name) for name in found.names()})
    told = {key: found.config[key] for key in config if key != "rope_parameters"}
    assert told == {key: config[key] for key in told}
    assert found.config["scoring_func"] == "softmax"


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q5_1", "MXFP4", "F16", "BF16"])
def test_quantized_stacks_are_cut_where_the_experts_are(kind: str, tmp_path: Path) -> None:
    names = ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "attn_k_b", "attn_v_b")
    found = made(tmp_path, "v3", types={f"{name}.weight": kind for name in names})
    form = gguf.GGMLQuantizationType[kind]
    for name, array in cases.arrays_of(cases.config_of("v3")).items():
        if (".experts." not in name and "_b_proj" not in name) or "q_b" in name:
            continue
        raw = gguf.quantize(array, form)
        if kind in ("F16", "BF16"):
            assert found.layout(name).form == BF16
        np.testing.assert_array_equal(numbers(found, name), gguf.dequantize(raw, form))
        rows = found.tensor(name, slice(16, 32), index=2).dequantize()
        np.testing.assert_array_equal(rows, gguf.dequantize(raw[2], form)[16:32])


def test_gate_and_up_in_one_tensor_are_cut_apart(tmp_path: Path) -> None:
    config = cases.config_of("v3")
    arrays = cases.arrays_of(config)
    joined = models.fused(models.tensors_of(config, arrays))
    assert_holds(made(tmp_path, "v3", joined), arrays)


def test_experts_one_by_one_are_a_stack(tmp_path: Path) -> None:
    """Mixtral's files of before April 2024 have a tensor for each expert."""
    config = cases.config_of("mixtral")
    arrays = cases.arrays_of(config)
    tensors: models.Arrays = {}
    for name, array in models.tensors_of(config, arrays).items():
        alone = enumerate(array) if "_exps" in name else ()
        tensors |= {name.replace("_exps", f".{e}"): one for e, one in alone} or {name: array}
    assert "blk.1.ffn_down.3.weight" in tensors
    found = made(tmp_path, "mixtral", tensors)
    assert_holds(found, arrays)
    rows = found.tensor(f"{V3}mlp.experts.up_proj.weight", slice(16, 32), index=2)
    np.testing.assert_array_equal(
        rows.dequantize(), arrays[f"{V3}mlp.experts.up_proj.weight"][2, 16:32]
    )


OLD = {"attention__key_length": 80, "attention__value_length": 32, "attention__head_count_kv": 4}
OLD |= {"attention__key_length_mla": None, "attention__value_length_mla": None}


@pytest.mark.parametrize("case", ["v2", "v2 lite", "v3"])
def test_one_kv_b_is_split_by_head(case: str, tmp_path: Path) -> None:
    """Files of before the split: bf16 keeps every number of these, so it is exact."""
    config = cases.config_of(case)
    arrays = cases.arrays_of(config)
    old = models.unsplit(models.tensors_of(config, arrays))
    found = made(tmp_path, case, old, **OLD)
    assert_holds(found, arrays)
    assert (found.config["qk_nope_head_dim"], found.config["v_head_dim"]) == (64, 32)
    assert found.config["num_key_value_heads"] == 4


def test_keys_of_a_quantized_kv_b_round_to_bf16_and_values_stay(tmp_path: Path) -> None:
    """Transposed, a group of 32 would lie across 32 rows: no form has that."""
    config = cases.config_of("v3")
    arrays = {
        name: np.random.default_rng(1).standard_normal(array.shape).astype(np.float32)
        for name, array in cases.arrays_of(config).items()
    }
    old = models.unsplit(models.tensors_of(config, arrays))
    found = made(tmp_path, "v3", old, {"attn_kv_b.weight": "Q4_0"}, **OLD)
    form = gguf.GGMLQuantizationType.Q4_0
    both = gguf.dequantize(gguf.quantize(old["blk.1.attn_kv_b.weight"], form), form)
    both = both.reshape(4, 64 + 32, 32)
    keys, values = f"{V3}self_attn.k_b_proj.weight", f"{V3}self_attn.v_b_proj.weight"
    assert found.layout(keys).form == BF16
    rounded = bf16_to_f32(f32_to_bf16(both[:, :64].swapaxes(1, 2)))
    np.testing.assert_array_equal(numbers(found, keys), rounded)
    assert found.layout(values).form.bits == 4
    np.testing.assert_array_equal(numbers(found, values), both[:, 64:])


def test_stacks_that_lie_flat_are_taken_as_they_are(tmp_path: Path) -> None:
    """Some converters write the heads' matrices one below the other, in two dimensions."""
    config = cases.config_of("v3")
    arrays = cases.arrays_of(config)
    tensors = models.tensors_of(config, arrays)
    flat = {
        name: a.reshape(-1, a.shape[-1]) if "_b.weight" in name and a.ndim == 3 else a
        for name, a in tensors.items()
    }
    assert_holds(made(tmp_path, "v3", flat), arrays)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0"])
def test_routers_and_gates_are_bf16_whatever_the_file_has(kind: str, tmp_path: Path) -> None:
    names = ("ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight")
    found = made(tmp_path, "qwen2moe", types=dict.fromkeys(names, kind))
    for name in (f"{V3}mlp.gate.weight", f"{V3}mlp.shared_expert_gate.weight"):
        array = cases.arrays_of(cases.config_of("qwen2moe"))[name]
        form = gguf.GGMLQuantizationType[kind]
        kept = gguf.dequantize(gguf.quantize(array, form), form)
        matrix = found.tensor(name)
        assert found.layout(name).form == BF16 == matrix.form
        np.testing.assert_array_equal(matrix.dequantize(), bf16_to_f32(f32_to_bf16(kept)))


@pytest.mark.parametrize("case", cases.CASES)
def test_the_page_of_the_family_takes_it(case: str, tmp_path: Path) -> None:
    """And has a use for every tensor."""
    found = made(tmp_path, case)
    pages.load(found.config, {name: found.layout(name) for name in found.names()})


def test_a_mixture_packs_and_opens_again(tmp_path: Path) -> None:
    found = made(tmp_path, "gpt-oss", types={"ffn_up_exps.weight": "MXFP4"})
    out = tmp_path / "packed"
    out.mkdir()
    source = packed.Source("model.gguf", "0" * 64, "gguf")
    packed.write(out, found.config, found, source=source, files={})
    held = packed.open(out).tensors
    assert set(held) == set(found.names())
    for name, tensor in held.items():
        if tensor.form is None:
            np.testing.assert_array_equal(tensor.vector(), found.tensor(name))
            continue
        for e in range(tensor.shape[0]) if len(tensor.shape) == 3 else [None]:
            given, kept = found.tensor(name, index=e), tensor.matrix(e)
            assert isinstance(given, Matrix)
            np.testing.assert_array_equal(kept.dequantize(), given.dequantize())


def with_predicting(config: dict[str, Any]) -> models.Arrays:
    """A layer behind the last, as GLM's files have it: a whole one, and what joins its inputs."""
    tensors = models.tensors_of(config, cases.arrays_of(config))
    last = {n.replace("blk.1.", "blk.2."): a for n, a in tensors.items() if n.startswith("blk.1.")}
    last |= {
        "blk.2.nextn.eh_proj.weight": np.ones((64, 128)),
        "blk.2.nextn.enorm.weight": np.ones(64),
    }
    return tensors | last


def test_prediction_layers_are_left_out_and_named(tmp_path: Path) -> None:
    config = cases.config_of("glm4moe")
    tensors = with_predicting(config)
    found = made(tmp_path, "glm4moe", tensors, block_count=3, nextn_predict_layers=1)
    assert_holds(found, cases.arrays_of(config))
    assert found.config["num_hidden_layers"] == 2
    count = sum(name.startswith("blk.2.") for name in tensors)
    assert found.unused == [f"model.layers.2.* ({count} tensors): a multi-token prediction layer"]


def test_old_deepseek_files_have_the_groups_they_were_trained_with() -> None:
    """Before `expert_group_count` was written; by the shape alone, so no file is needed."""
    from farthing.formats.gguf_keys import Keys
    from farthing.formats.gguf_mixture import MIXTURES

    keys = models.keys_of(cases.config_of("v3"))
    keys = {k: v for k, v in keys.items() if "group" not in k} | {"expert_count": 256}
    metadata = {f"deepseek2.{key}": value for key, value in keys.items()}
    read = Keys("a file", metadata | {"general.architecture": "deepseek2"})
    for layers, groups in ((61, (8, 4)), (60, (1, 1))):
        config = {"num_hidden_layers": layers, "hidden_size": 7168, "num_attention_heads": 128}
        told = MIXTURES["deepseek2"](read, config)
        assert (told["n_group"], told["topk_group"]) == groups
