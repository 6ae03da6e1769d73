"""However a family lays its experts and latents out on disk, the same tensors come of it."""

import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_families import FAMILIES, change, expected, rewrite, saved, set_config

from farthing import formats, models
from farthing.formats import packed
from farthing.weight import BF16


def numbers(found, name):
    """A tensor whole, stacks matrix by matrix."""
    layout = found.layout(name)
    if layout.form is None:
        return found.tensor(name)
    if len(layout.shape) == 2:
        return found.tensor(name).dequantize()
    return np.stack([found.tensor(name, index=i).dequantize() for i in range(layout.shape[0])])


def same(found, tensors):
    assert set(found.names()) == set(tensors)
    for name, tensor in tensors.items():
        assert found.layout(name).shape == tensor.shape, name
        np.testing.assert_array_equal(numbers(found, name), tensor, err_msg=name)


@pytest.mark.parametrize("original", [True, False], ids=["hub", "fused"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_what_transformers_holds(family, original, tmp_path):
    model = saved(tmp_path, family, original=original)
    found = formats.open(tmp_path)
    same(found, expected(model))
    models.load(found.config, {name: found.layout(name) for name in found.names()})
    assert found.unused == []
    for name in found.names():
        table = len(found.layout(name).shape) == 1 or name.endswith("_proj.bias")
        assert found.layout(name).form == (None if table else BF16)


def test_hub_and_fused_layouts_differ_on_disk(tmp_path):
    """Else the tests above would prove less than they say."""
    for family, one, fused in [
        ("qwen3_moe", "mlp.experts.5.up_proj.weight", "mlp.experts.gate_up_proj"),
        ("mixtral", "block_sparse_moe.experts.5.w3.weight", "mlp.experts.gate_up_proj"),
        (
            "granitemoe",
            "block_sparse_moe.input_linear.weight",
            "block_sparse_moe.experts.gate_up_proj",
        ),
    ]:
        for original, name in (True, one), (False, fused):
            saved(tmp_path, family, original=original)
            assert f"model.layers.0.{name}" in load_file(tmp_path / "model.safetensors")


def test_experts_in_many_shards_find_each_other(tmp_path):
    model = saved(tmp_path / "one", "deepseek_v3")
    model.save_pretrained(tmp_path / "many", max_shard_size="20KB")
    found = formats.open(tmp_path / "many")
    assert len(found.files) > 3
    same(found, expected(model))


@pytest.mark.parametrize(
    ("alias", "family"), [("kimi_k2", "deepseek_v3"), ("deepseek", "glm4_moe")]
)
def test_families_of_another_name_and_the_same_layout_are_read(alias, family, tmp_path):
    model = saved(tmp_path, family)
    set_config(tmp_path, model_type=alias)
    same(formats.open(tmp_path), expected(model))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["gpt_oss", "deepseek_v2"])
def test_halves_are_read_like_floats(family, dtype, tmp_path):
    model = saved(tmp_path, family)

    def narrow(tensors):
        return {name: tensor.to(dtype) for name, tensor in tensors.items()}

    rewrite(tmp_path, narrow)
    tensors = {
        n: torch.tensor(t).to(dtype).bfloat16().float().numpy() for n, t in expected(model).items()
    }
    exact = {n: torch.tensor(t).to(dtype).float().numpy() for n, t in expected(model).items()}
    found = formats.open(tmp_path)
    same(found, {n: exact[n] if found.layout(n).form is None else tensors[n] for n in exact})


@pytest.mark.parametrize("family", ["gpt_oss", "deepseek_v2", "qwen3_moe"])
@pytest.mark.parametrize("rows", [slice(0, 3), slice(5, 16), slice(16, 17)])
def test_some_rows_are_those_of_the_whole(family, rows, tmp_path):
    saved(tmp_path, family)
    found = formats.open(tmp_path)
    for name in found.names():
        if found.layout(name).form is not None:
            index = 1 if len(found.layout(name).shape) == 3 else None
            whole = found.tensor(name, index=index).codes
            np.testing.assert_array_equal(found.tensor(name, rows, index).codes, whole[rows])


def test_what_is_read_can_be_packed(tmp_path):
    (tmp_path / "packed").mkdir()
    for family in "gpt_oss", "deepseek_v3":
        model = saved(tmp_path / family, family)
        source = packed.Source("huggingface", family, "0" * 64)
        found = formats.open(tmp_path / family)
        folder = tmp_path / "packed" / family
        folder.mkdir()
        packed.write(folder, found.config, found, source=source, files={})
        back = packed.open(folder)
        for name, tensor in expected(model).items():
            kept = back.tensors[name]
            assert kept.shape == tensor.shape
            many = (
                [kept.matrix(i).dequantize() for i in range(tensor.shape[0])]
                if tensor.ndim == 3
                else None
            )
            one = kept.vector() if kept.form is None else many or kept.matrix().dequantize()
            np.testing.assert_array_equal(one, tensor)


def test_a_stack_is_never_in_memory_whole(tmp_path):
    saved(tmp_path, "qwen3_moe")
    set_config(tmp_path, num_local_experts=64, num_hidden_layers=1)
    one = {
        f"model.layers.0.mlp.experts.{e}.{p}_proj.weight": torch.zeros(256, 256)
        for e in range(64)
        for p in ("gate", "up", "down")
    }
    many = {
        "model.layers.0.mlp.experts.gate_up_proj": torch.zeros(64, 512, 256),
        "model.layers.0.mlp.experts.down_proj": torch.zeros(64, 256, 256),
    }
    for tensors in one, many:
        save_file(tensors, tmp_path / "model.safetensors")
        tracemalloc.start()
        found = formats.open(tmp_path)
        for name in found.names():
            found.tensor(name, index=63)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found.names()) == 3
        assert peak < 4_000_000  # a stack is 16.8 MB, one matrix 0.26


def test_what_the_model_does_without_is_named(tmp_path):
    model = saved(tmp_path, "deepseek_v3")
    set_config(tmp_path, tie_word_embeddings=True)

    mtp, made = "model.layers.2.", {}
    for name in "enorm.weight", "hnorm.weight", "self_attn.o_proj.weight":
        made[mtp + name] = torch.zeros(32)
    made[f"{mtp}eh_proj.weight"] = torch.zeros(32, 64)
    made[f"{mtp}mlp.experts.0.up_proj.weight"] = torch.zeros(16, 32)
    for layer in range(2):
        made[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.zeros(4)
    change(tmp_path, made)
    found = formats.open(tmp_path)
    tensors = expected(model)
    del tensors["lm_head.weight"]
    same(found, tensors)
    assert sorted(found.unused) == [
        "*.rotary_emb.inv_freq (2 tensors): follows from config.json",
        "lm_head.weight: config.json ties it to the embedding",
        "model.layers.2.* (5 tensors): a multi-token prediction layer",
    ]
