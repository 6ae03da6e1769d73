"""A Hugging Face folder is read whole or refused by name."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import checkpoints as toy
from farthing import formats, models
from farthing.errors import FormatError, NotFound
from farthing.weight import Matrix


def numbers(tensor):
    return tensor.dequantize() if isinstance(tensor, Matrix) else tensor


@pytest.mark.parametrize("shards", [1, 3])
def test_tensors_of_one_file_or_many_are_the_same(shards, tmp_path):
    found = formats.open(toy.toy_folder(tmp_path / "m", shards=shards))
    assert len(found.files) == shards
    arrays = toy.toy_arrays()
    assert set(found.names()) == set(arrays)
    for name, array in arrays.items():
        rounded = torch.from_numpy(array).bfloat16().float().numpy()
        expected = array if array.ndim == 1 else rounded
        np.testing.assert_array_equal(numbers(found.tensor(name)), expected)
        assert found.layout(name).shape == array.shape
    models.load(found.config, {name: found.layout(name) for name in found.names()})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_float_becomes_bf16_in_matrices_and_fp32_in_vectors(dtype, tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    made = {name: torch.from_numpy(a).to(dtype) for name, a in toy.toy_arrays().items()}
    save_file(made, folder / "model.safetensors")
    found = formats.open(folder)
    for name, tensor in made.items():
        expected = tensor.float() if tensor.ndim == 1 else tensor.bfloat16().float()
        np.testing.assert_array_equal(numbers(found.tensor(name)), expected.numpy())


def test_a_tied_heads_copy_is_left_out(tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    made = {name: torch.from_numpy(a) for name, a in toy.toy_arrays().items()}
    made["lm_head.weight"] = torch.zeros(8, 32)
    save_file(made, folder / "model.safetensors")
    assert "lm_head.weight" not in formats.open(folder).names()


def test_the_template_beside_joins_the_tokenizers_settings(tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    files = formats.open(folder).tokenizer_files()
    settings = json.loads(files["tokenizer_config.json"])
    assert settings == {"eos_token": "</s>", "chat_template": "{{ messages }}"}
    assert "tokenizer.json" in files


def test_a_folder_with_one_gguf_file_is_that_file(tmp_path):
    toy.toy_gguf(tmp_path / "any name")
    (tmp_path / "any name").rename(tmp_path / "m.gguf")
    assert formats.open(tmp_path).kind == "gguf"
    toy.toy_gguf(tmp_path / "n.gguf")
    with pytest.raises(FormatError, match="2 GGUF files"):
        formats.open(tmp_path)


def test_formats_are_told_by_bytes_not_by_names(tmp_path):
    path = toy.toy_gguf(tmp_path / "model.safetensors")
    assert formats.open(path).kind == "gguf"


def changed(folder, **keys):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_quantized_weights_are_refused_by_name(tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    changed(folder, quantization_config={"quant_method": "quip", "bits": 4})
    with pytest.raises(FormatError, match="quantized by 'quip'"):
        formats.open(folder)


def test_pickles_are_never_opened(tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(FormatError, match=r"pytorch_model\.bin, a pickle.*safetensors version"):
        formats.open(folder)
    with pytest.raises(FormatError, match="pickle"):
        formats.open(folder / "pytorch_model.bin")


def test_one_shard_is_sent_to_its_folder(tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    with pytest.raises(FormatError, match="give the folder"):
        formats.open(folder / "model.safetensors")


@pytest.mark.parametrize("file", ["../outside.safetensors", "/etc/x.safetensors", "code.py", 3])
def test_an_index_cant_point_outside(file, tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    index = {"weight_map": {"model.norm.weight": file}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FormatError, match="no plain file name"):
        formats.open(folder)


def test_a_missing_shard_is_named(tmp_path):
    folder = toy.toy_folder(tmp_path / "m", shards=3)
    (folder / "model-00002.safetensors").unlink()
    with pytest.raises(FormatError, match=r"model-00002\.safetensors: is missing"):
        formats.open(folder)


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    folder = toy.toy_folder(tmp_path / "m", shards=2)
    other = (folder / "model-00001.safetensors").read_bytes()
    (folder / "model-00002.safetensors").write_bytes(other)
    with pytest.raises(FormatError, match="in another shard too"):
        formats.open(folder)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.zeros(2, 2, 2), "shape"),
        (torch.tensor(1.0), "shape"),
        (torch.zeros(0, 3), "shape"),
        (torch.zeros(4, dtype=torch.int8), "dtype I8"),
    ],
)
def test_what_no_model_holds_is_refused(tensor, said, tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    save_file({"odd.weight": tensor}, folder / "model.safetensors")
    with pytest.raises(FormatError, match=said):
        formats.open(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":1,"a":2}', "[" * 99_999])
def test_a_config_that_is_no_object_is_named(text, tmp_path):
    folder = toy.toy_folder(tmp_path / "m")
    (folder / "config.json").write_text(text)
    with pytest.raises(FormatError, match=r"config\.json"):
        formats.open(folder)


def test_nothing_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        formats.open(tmp_path / "none")
    with pytest.raises(FormatError, match="neither"):
        formats.open(tmp_path)
