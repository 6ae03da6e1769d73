"""A damaged or lying GGUF file is refused by file, place and field; it never crashes or hoards."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import checkpoints as toy
from farthing import formats
from farthing.errors import FormatError
from farthing.formats import packed

WHOLE = toy.gguf_bytes(toy.toy_settings() + toy.vocabulary(), toy.toy_tensors())


def head(tensors: int, pairs: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def with_info(*infos: bytes, data: int = 4096) -> bytes:
    """A file of these tensor infos and some bytes of data."""
    start = head(len(infos), 0) + b"".join(infos)
    return start + b"\0" * (-len(start) % 32 + data)


def with_value(kind: int, raw: bytes) -> bytes:
    return head(0, 1) + toy.text("a.key") + struct.pack("<I", kind) + raw


def nested(depth: int) -> bytes:
    return b"".join(struct.pack("<IQ", 9, 1) for _ in range(depth)) + struct.pack("<IQ", 4, 0)


LARGE = 1 << 62
MALFORMED = {
    "empty": (b"", "begins with b''"),
    "only the magic": (b"GGUF", "4 bytes"),
    "another magic": (b"GGML" + bytes(40), "begins with"),
    "version 1": (head(0, 0, 1), "version"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version"),
    "more tensors than bytes": (head(LARGE, 0), "tensor_count"),
    "more pairs than bytes": (head(0, LARGE), "kv_count"),
    "a pair is missing": (head(0, 1), "key 0"),
    "a key longer than the file": (head(0, 1) + struct.pack("<Q", LARGE), "key 0"),
    "a key that is no text": (head(0, 1) + toy.text(b"\xff\xfe"), "UTF-8"),
    "a key twice": (head(0, 2) + toy.pair("k", "u32", 1) * 2, "twice"),
    "an unknown type": (with_value(13, b"\0" * 8), "value type 13"),
    "an array longer than the file": (with_value(9, struct.pack("<IQ", 4, 1 << 20)), "a.key"),
    "an array of 2^62": (with_value(9, struct.pack("<IQ", 4, LARGE)), "an array of"),
    "an array of texts that are not there": (with_value(9, struct.pack("<IQ", 8, 99)), "a.key"),
    "arrays in arrays": (with_value(9, nested(40)), "depth"),
    "a text longer than the file": (with_value(8, struct.pack("<Q", 99)), "a.key"),
    "an odd alignment": (head(0, 1) + toy.pair("general.alignment", "u32", 33), "alignment"),
    "an alignment of zero": (head(0, 1) + toy.pair("general.alignment", "u32", 0), "alignment"),
    "a tensor twice": (with_info(toy.info("t", (8,), 0, 0), toy.info("t", (8,), 0, 32)), "twice"),
    "no dimensions": (with_info(toy.info("t", (), 0, 0)), "dimensions"),
    "five dimensions": (with_info(toy.info("t", (1,) * 5, 0, 0)), "dimensions"),
    "a dimension of zero": (with_info(toy.info("t", (0, 32), 0, 0)), "shape"),
    "half a block": (with_info(toy.info("t", (4, 40), 3, 0)), "shape"),
    "an unknown tensor type": (with_info(toy.info("t", (8,), 99, 0)), "type 99"),
    "an offset off the grid": (with_info(toy.info("t", (8,), 0, 4)), "offset 4"),
    "past the end": (with_info(toy.info("t", (8,), 0, 4096)), "file ends at"),
    "far past the end": (with_info(toy.info("t", (8,), 0, 1 << 63)), "file ends at"),
    "larger than the file": (with_info(toy.info("t", (1 << 32, 1 << 31), 0, 0)), "file ends at"),
    "overlapping": (with_info(toy.info("a", (16,), 0, 0), toy.info("b", (8,), 0, 32)), "overlap"),
    "negative shape": (with_info(toy.info("t", (2**64 - 1, 32), 0, 0)), "file ends at"),
    "no architecture": (with_info(toy.info("token_embd.weight", (8, 32), 0, 0)), "architecture"),
    "no tensors": (head(0, 0), "token_embd"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_named_with_its_field(name, tmp_path):
    raw, said = MALFORMED[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(FormatError) as caught:
        formats.open(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said in str(caught.value)
    assert "bad.gguf" in str(caught.value)
    assert peak < 1 << 20


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path):
    path = tmp_path / "cut.gguf"
    for size in [*range(0, 2048, 7), len(WHOLE) - 1]:
        path.write_bytes(WHOLE[:size])
        with pytest.raises(FormatError, match=r"cut\.gguf"):
            formats.open(path)


def read_all(path: Path) -> None:
    """Everything a pull does with a file, but the vocabulary."""
    found = formats.open(path)
    packed.header_of(found, packed.Source("", "", ""))
    for name in found.names():
        found.tensor(name)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flips=st.lists(st.tuples(st.integers(0, 2600), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, len(WHOLE)),
)
def test_changed_bytes_are_read_or_refused(flips, cut, tmp_path):
    raw = bytearray(WHOLE)
    for at, byte in flips:
        raw[at] = byte
    path = tmp_path / "flipped.gguf"
    path.write_bytes(raw[:cut])
    tracemalloc.start()
    try:
        read_all(path)
    except FormatError as error:
        assert "flipped.gguf" in str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 << 20


def test_version_2_reads_like_3(tmp_path):
    path = toy.toy_gguf(tmp_path / "three.gguf")
    old = tmp_path / "two.gguf"
    old.write_bytes(
        toy.gguf_bytes(toy.toy_settings() + toy.vocabulary(), toy.toy_tensors(), version=2)
    )
    for name in formats.open(path).names():
        a, b = formats.open(path).tensor(name), formats.open(old).tensor(name)
        np.testing.assert_array_equal(getattr(a, "codes", a), getattr(b, "codes", b))
