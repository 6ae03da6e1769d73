"""Random weights: the same model in both formats, finite, even in their routing, and made once."""

import shutil

import gguf
import numpy as np
import pytest
from small_shapes import small

from farthing import store
from farthing.bench import random_gguf, random_packed, skeleton
from farthing.bench.noise import Noise
from farthing.errors import DiskFull, InputError
from farthing.formats import packed
from farthing.weight import Matrix

NAMES = skeleton.names()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_streamed_is_what_the_packed_format_writes(name, tmp_path):
    shape = small(name)
    for folder in ("streamed", "written"):
        (tmp_path / folder).mkdir()
    random_packed.write(tmp_path / "streamed", shape)
    made = packed.open(tmp_path / "streamed")
    noise = Noise(shape.config, shape.tensors)
    packed.write(tmp_path / "written", shape.config, noise, source=made.header.source, files={})
    ours, theirs = (tmp_path / f / packed.WEIGHTS for f in ("streamed", "written"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert ours.stat().st_size - random_packed.size(shape) < 1 << 20


def dequantized(noise, name, shape):
    if len(shape) == 3:
        return np.stack([noise.tensor(name, index=i).dequantize() for i in range(shape[0])])
    tensor = noise.tensor(name)
    return tensor.dequantize() if isinstance(tensor, Matrix) else tensor


@pytest.mark.parametrize("name", NAMES)
def test_gguf_holds_the_same_model(name, tmp_path):
    shape = small(name)
    random_gguf.write(tmp_path / "a.gguf", shape)
    file = gguf.GGUFReader(tmp_path / "a.gguf")
    noise, tensors = Noise(shape.config, shape.tensors), file.tensors
    assert len(tensors) == len(shape.tensors)
    for tensor, (ours, wanted) in zip(tensors, shape.tensors.items(), strict=True):
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert values.shape == wanted, ours
        assert np.array_equal(values, dequantized(noise, ours, wanted)), ours


@pytest.mark.parametrize("name", NAMES)
def test_q4_k_has_as_many_bits_and_weights_as_large(name, tmp_path):
    shape = small(name)
    for type in ("q4_0", "q4_k"):
        random_gguf.write(tmp_path / type, shape, type=type)
    files = [gguf.GGUFReader(tmp_path / type).tensors for type in ("q4_0", "q4_k")]
    kinds = set()
    for plain, other in zip(*files, strict=True):
        a, b = (gguf.quants.dequantize(t.data, t.tensor_type) for t in (plain, other))
        assert plain.n_bytes == other.n_bytes and np.isfinite(b).all()
        kinds.add(other.tensor_type.name)
        if other.tensor_type.name == "Q4_K" and not other.name.startswith("token_embd"):
            assert b.std() == pytest.approx(a.std(), rel=0.05), other.name
            assert abs(b.mean()) < 0.02 * b.std(), other.name
    assert "Q4_K" in kinds


def uses(noise, tokens):
    """How often each expert of layer 0 is among a token's best two, judged by the embedding."""
    rows = noise.tensor("model.embed_tokens.weight").dequantize()[tokens]
    rows /= np.sqrt((rows**2).mean(1, keepdims=True))
    logits = rows @ noise.router("model.layers.0.mlp.gate.weight").dequantize().T
    best = np.argsort(-logits, 1)[:, :2]
    return np.bincount(best.reshape(-1), minlength=logits.shape[1])


def test_random_tokens_go_to_experts_evenly():
    shape = small("qwen3-30b-a3b")
    tokens = np.random.default_rng(0).integers(0, 2048, 4096)
    used = uses(Noise(shape.config, shape.tensors), tokens)
    assert used.max() / used.mean() < 1.5 and used.min() / used.mean() > 0.6


def test_weights_have_the_size_that_keeps_activations_near_one():
    shape = small("gpt-oss-20b")
    noise = Noise(shape.config, shape.tensors)
    for name, wide in shape.tensors.items():
        if noise.kind(name) is None or "embed" in name:
            continue
        values = dequantized(noise, name, wide)
        damped = 0.5 if "down_proj" in name or "o_proj" in name else 1.0
        assert values.std() * wide[-1] ** 0.5 == pytest.approx(damped, rel=0.25), name
        assert abs(values.mean()) < 0.02 * values.std(), name


def test_bytes_are_no_zeros_that_a_disk_could_leave_out():
    shape = small("olmoe-1b-7b")
    folder = random_packed.made(shape)
    raw = np.fromfile(folder / packed.WEIGHTS, np.uint8)
    counts = np.bincount(raw, minlength=256) / len(raw)
    assert -(counts[counts > 0] * np.log2(counts[counts > 0])).sum() > 7.5


def test_it_is_made_once_and_is_no_model_of_the_shelf(monkeypatch):
    shape, said, heard = small("olmoe-1b-7b"), [], []
    folder = random_packed.made(
        shape, before=said.append, progress=lambda done, total: heard.append((done, total))
    )
    assert packed.open(folder).config == shape.config
    assert len(said) == 1 and "GB, at least" in said[0] and str(folder) in said[0]
    assert heard[-1][0] == heard[-1][1] == random_packed.size(shape)
    assert [path.name for path in random_packed.root().iterdir()] == [folder.name]
    assert store.models() == []
    monkeypatch.setattr(random_packed, "write", None)
    assert random_packed.made(shape, before=said.append) == folder
    assert len(said) == 1


def test_another_config_of_the_same_name_lies_elsewhere():
    one, two = small("olmoe-1b-7b"), small("olmoe-1b-7b")
    two.config["rope_theta"] = 1e6
    assert random_packed.place(one) != random_packed.place(two)


def test_without_room_it_is_refused_with_both_counts_and_nothing_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 50 << 20))
    shape = skeleton.read("qwen3-30b-a3b")
    with pytest.raises(DiskFull, match=r"takes 17,193 MB and 19 MB are free"):
        random_packed.made(shape)
    with pytest.raises(DiskFull, match=r"as GGUF takes 17,\d+ MB and 19 MB are free"):
        random_gguf.write(tmp_path / "a.gguf", shape)
    assert not list(random_packed.root().iterdir()) and not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing(monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("power")

    monkeypatch.setattr(random_packed, "write", broken)
    with pytest.raises(RuntimeError, match="power"):
        random_packed.made(small("olmoe-1b-7b"))
    assert not list(random_packed.root().iterdir())


def test_an_architecture_that_gguf_is_not_written_for_is_named(tmp_path):
    shape = small("olmoe-1b-7b")
    shape.config["model_type"] = "granitemoe"
    with pytest.raises(InputError, match="'granitemoe' is not written as GGUF; these are: qwen3"):
        random_gguf.write(tmp_path / "a.gguf", shape)
