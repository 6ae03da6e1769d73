"""Experts that are missing, too many, doubled or unlike are refused, and the tensor is named."""

import pytest
import torch
from small_families import change, saved, set_config

from farthing import formats
from farthing.errors import FormatError

LAYER = "model.layers.1."
FUSED = f"{LAYER}mlp.experts.gate_up_proj"


def refused(folder, given, *said):
    change(folder, given)
    with pytest.raises(FormatError) as raised:
        formats.open(folder)
    for text in said:
        assert text in str(raised.value), str(raised.value)


@pytest.mark.parametrize("index", [0, 3, 5])
@pytest.mark.parametrize("kind", ["gate", "up", "down"])
def test_a_missing_expert_is_named(kind, index, tmp_path):
    saved(tmp_path, "qwen3_moe")
    name = f"{LAYER}mlp.experts.{index}.{kind}_proj.weight"
    refused(tmp_path, {name: None}, f"tensor {name} is missing")


def test_a_missing_expert_is_named_as_its_family_does(tmp_path):
    saved(tmp_path, "mixtral")
    name = f"{LAYER}block_sparse_moe.experts.2.w3.weight"
    refused(tmp_path, {name: None}, f"tensor {name} is missing")


def test_a_gap_is_seen_where_the_config_counts_nothing(tmp_path):
    saved(tmp_path, "qwen3_moe")
    set_config(tmp_path, num_local_experts=...)
    name = f"{LAYER}mlp.experts.1.up_proj.weight"
    refused(tmp_path, {name: None}, f"tensor {name} is missing")


@pytest.mark.parametrize(
    ("family", "original", "key"),
    [
        ("qwen3_moe", True, "num_local_experts"),
        ("qwen2_moe", False, "num_experts"),
        ("deepseek_v3", True, "n_routed_experts"),
        ("granitemoe", True, "num_local_experts"),
        ("gpt_oss", True, "num_local_experts"),
    ],
)
@pytest.mark.parametrize("count", [5, 7, "six", 0])
def test_another_count_than_the_configs_is_refused(family, original, key, count, tmp_path):
    saved(tmp_path, family, original=original)
    set_config(tmp_path, **{key: count})
    with pytest.raises(FormatError, match=rf"{key}.*{count}|experts\.6\.|config.json has 7"):
        formats.open(tmp_path)


def test_an_expert_of_another_shape_is_named(tmp_path):
    saved(tmp_path, "olmoe")
    name = f"{LAYER}mlp.experts.4.up_proj.weight"
    said = f"tensor '{name}'", "[48, 31]", "expert 0 is [48, 32]"
    refused(tmp_path, {name: torch.zeros(48, 31)}, *said)


@pytest.mark.parametrize(
    ("family", "name", "shape"),
    [
        ("olmoe", FUSED, (6, 96, 32)),
        ("mixtral", f"{LAYER}block_sparse_moe.experts.down_proj", (6, 32, 48)),
        ("olmoe", f"{LAYER}mlp.experts.up_proj.weight", (48, 32)),
        ("deepseek_v3", f"{LAYER}self_attn.k_b_proj.weight", (16, 16)),
        ("gpt_oss", f"{LAYER}mlp.gate.weight", (6, 32)),
        ("mixtral", f"{LAYER}mlp.experts.2.up_proj.weight", (48, 32)),
    ],
)
def test_what_stands_there_in_two_ways_is_refused(family, name, shape, tmp_path):
    saved(tmp_path, family)
    refused(tmp_path, {name: torch.zeros(shape)}, "a second tensor for model.layers.1.")


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        (FUSED, (6, 32), "one matrix an expert"),
        (FUSED, (6, 33, 32), "33 rows of gate and up"),
        (FUSED, (6, 2, 2, 2), "one matrix an expert"),
        (f"{FUSED}_bias", (6,), "a row an expert"),
        (f"{FUSED}_bias", (6, 5), "5 rows of gate and up"),
        (f"{FUSED}_bias", (6, 2, 2), "a row an expert"),
        (f"{LAYER}mlp.experts.0.up_proj.weight", (4,), "[N] or [N, K]"),
        (f"{LAYER}mlp.experts.odd", (6, 2, 2), "[N] or [N, K]"),
    ],
)
def test_shapes_that_no_family_has_are_refused(name, shape, said, tmp_path):
    saved(tmp_path, "qwen3_moe", original=False)
    refused(tmp_path, {name: torch.zeros(shape)}, f"tensor '{name}'", said)


@pytest.mark.parametrize("key", ["num_attention_heads", "qk_nope_head_dim", "v_head_dim"])
@pytest.mark.parametrize("value", [5, 0, -1, None, True, "4", 1 << 60])
def test_heads_that_do_not_fit_the_latents_matrix_are_refused(key, value, tmp_path):
    saved(tmp_path, "deepseek_v2")
    set_config(tmp_path, **{key: value})
    with pytest.raises(FormatError, match=rf"{key} is|kv_b_proj.weight'.*160 rows.*5"):
        formats.open(tmp_path)


@pytest.mark.parametrize("index", [2, 999_999])
def test_a_layer_beyond_the_last_that_predicts_no_tokens_is_refused(index, tmp_path):
    saved(tmp_path, "qwen3_moe")
    name = f"model.layers.{index}.input_layernorm.weight"
    refused(tmp_path, {name: torch.zeros(32)}, name, "num_hidden_layers of config.json is 2")


@pytest.mark.parametrize("digits", ["9" * 5000, "0003", "-1", "1e3"])
def test_numbers_that_no_writer_makes_are_no_experts(digits, tmp_path):
    """Such a name is passed on as it is, and no page takes it; int() of it would be slow, or 3."""
    saved(tmp_path, "qwen3_moe")
    name = f"{LAYER}mlp.experts.{digits}.up_proj.weight"

    change(tmp_path, {name: torch.zeros(16, 32)})
    found = formats.open(tmp_path)
    assert name in found.names()
    assert found.layout(f"{LAYER}mlp.experts.up_proj.weight").shape == (6, 16, 32)
