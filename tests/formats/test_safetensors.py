"""Our safetensors reader and writer against the official library, and against damaged files."""

import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import checkpoints as toy
from farthing.errors import FormatError
from farthing.formats.safetensors import Tensor, read, write

TENSORS = {
    "matrix": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "half": torch.linspace(-2, 2, 7, dtype=torch.float16),
    "brain": torch.linspace(-9, 9, 6).reshape(2, 3).bfloat16(),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "scalar": torch.tensor(3, dtype=torch.int64),
    "nothing": torch.zeros(0, 4),
}


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def test_files_of_the_official_library_are_read(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", metadata={"format": "pt"})
    found = read(tmp_path / "a.safetensors")
    assert found.metadata == {"format": "pt"}
    assert set(found.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found.tensors[name].shape == tuple(tensor.shape)
        assert found.tensors[name].data.tobytes() == raw(tensor)


def test_files_of_ours_are_read_by_the_official_library(tmp_path):
    kinds = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    kinds |= {torch.uint8: "U8", torch.int64: "I64"}
    ours = {
        name: Tensor(kinds[t.dtype], tuple(t.shape), np.frombuffer(raw(t), np.uint8))
        for name, t in TENSORS.items()
    }
    write(tmp_path / "a.safetensors", ours, {"from": "farthing"})
    found = load_file(tmp_path / "a.safetensors")
    for name, tensor in TENSORS.items():
        assert torch.equal(found[name], tensor), name
    again = read(tmp_path / "a.safetensors")
    assert again.metadata == {"from": "farthing"}
    assert {name: t.dtype for name, t in again.tensors.items()} == {
        name: t.dtype for name, t in ours.items()
    }


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.safetensors"
    write(path, {"x": Tensor("U8", (3,), np.arange(3, dtype=np.uint8))})
    before = path.read_bytes()

    class Torn:
        nbytes = 3

        def __array__(self, *args, **kwargs):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(path, {"x": Tensor("U8", (3,), Torn())})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def entry(shape=(2,), offsets=(0, 8), dtype="F32", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def made(header, data: bytes = bytes(8)) -> bytes:
    return toy.safetensors_bytes(header, data)


MALFORMED = {
    "empty": (b"", "0 bytes"),
    "a header longer than the file": (struct.pack("<Q", 1 << 40) + b"{}" + bytes(8), "header of"),
    "a header beyond the limit": (struct.pack("<Q", (1 << 64) - 1) + b"{}", "header of"),
    "no brace": (made(b"[]"), "not a brace"),
    "no JSON": (made(b"{nonsense}"), "not JSON"),
    "no text": (made(b'{"\xff": 1}'), "not UTF-8"),
    "depth": (made(b'{"a":' + b"[" * 100_000), "not JSON"),
    "a number of 10,000 digits": (made(b'{"a":' + b"9" * 10_000 + b"}"), "not JSON"),
    "a key twice": (
        made(b'{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{}}'),
        "twice",
    ),
    "no tensor": (made({"a": 3}), "expected"),
    "a field too many": (made({"a": entry(more=1)}), "expected"),
    "a field missing": (made({"a": {"dtype": "F32", "shape": [2]}}), "expected"),
    "an unknown dtype": (made({"a": entry(dtype="F5")}), "dtype 'F5'"),
    "a dtype that is a list": (made({"a": entry(dtype=["F32"])}), "dtype"),
    "a negative shape": (made({"a": entry((-1, -2))}), "shape"),
    "a shape of floats": (made({"a": entry((2.0,))}), "shape"),
    "a shape of truth": (made({"a": entry((True, 2))}), "shape"),
    "a shape beyond counting": (made({"a": entry((1 << 70,))}), "shape"),
    "a shape that overflows": (made({"a": entry((1 << 62, 1 << 62))}), "bytes"),
    "many dimensions": (made({"a": entry((1,) * 9)}), "shape"),
    "three offsets": (made({"a": entry(offsets=(0, 4, 8))}), "data_offsets"),
    "offsets backwards": (made({"a": entry(offsets=(8, 0))}), "data_offsets"),
    "negative offsets": (made({"a": entry(offsets=(-8, 0))}), "data_offsets"),
    "another size than the shape": (made({"a": entry((3,))}), "8 bytes"),
    "past the end": (made({"a": entry((4,), (0, 16))}), "the data has 8"),
    "overlapping": (
        made({"a": entry(offsets=(0, 8)), "b": entry((1,), (4, 8))}),
        "'b': bytes 4 to 8, but the one before ends at 8",
    ),
    "a hole": (made({"a": entry((1,), (4, 8))}), "before ends at 0"),
    "a rest": (made({"a": entry((1,), (0, 4))}), "4 bytes at the end"),
    "metadata of numbers": (made({"__metadata__": {"a": 1}}, b""), "__metadata__"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_named_with_its_field(name, tmp_path):
    content, said = MALFORMED[name]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(FormatError) as caught:
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said in str(caught.value)
    assert "bad.safetensors" in str(caught.value)
    assert peak < 2 << 20


WHOLE = made({"a": entry((2, 3), (0, 24)), "b": entry((4,), (24, 32), "BF16")}, bytes(32))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.integers(0, len(WHOLE)),
)
def test_changed_bytes_are_read_or_refused(flips, cut, tmp_path):
    content = bytearray(WHOLE)
    for at, byte in flips:
        content[at] = byte
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(content[:cut])
    try:
        found = read(path)
    except FormatError as error:
        assert "flipped.safetensors" in str(error)
    else:
        assert sum(tensor.data.nbytes for tensor in found.tensors.values()) <= 32


def test_what_we_read_the_official_library_reads_too(tmp_path):
    """We refuse more than they do, never less, on every single-byte change of the header."""
    path = tmp_path / "flipped.safetensors"
    for at in range(8, len(WHOLE) - 32):
        content = bytearray(WHOLE)
        content[at] ^= 1
        path.write_bytes(content)
        try:
            found = read(path)
        except FormatError:
            continue
        with safetensors.safe_open(path, "np") as theirs:
            assert set(theirs.keys()) == set(found.tensors)


def test_a_header_padded_with_blanks_is_read(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(made(json.dumps({"a": entry()}).encode() + b"   "))
    assert read(path).tensors["a"].shape == (2,)


def test_whoever_may_read_new_files_may_read_it(tmp_path):
    """And not its maker alone: another user's server is to load it."""
    before = os.umask(0o022)
    try:
        write(tmp_path / "x", {"a": Tensor("U8", (1,), np.zeros(1, np.uint8))})
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
