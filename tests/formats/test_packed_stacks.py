"""Stacks and tables in a packed checkpoint: whole, on their grid, read one matrix at a time."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stacks import INT4, STACK, TABLE, TWO, assert_same, made, write

from farthing.errors import FormatError
from farthing.formats import packed
from farthing.formats.types import ALL
from farthing.weight import BF16, E2M1


@pytest.mark.parametrize("form", [INT4, TWO, BF16, E2M1], ids=str)
def test_every_matrix_of_a_stack_comes_back(form, tmp_path):
    source = made(form)
    found = packed.open(write(tmp_path / "m", source)).tensors
    for index in range(5):
        assert_same(found[STACK].matrix(index), source.tensor(STACK, ALL, index))
    assert_same(found["first"].matrix(), source.tensor("first"))
    assert_same(found["last"].matrix(), source.tensor("last"))
    assert found[STACK].shape == (5, 33, 72)


def test_a_table_comes_back_in_its_shape(tmp_path):
    source = made()
    found = packed.open(write(tmp_path / "m", source)).tensors
    np.testing.assert_array_equal(found[TABLE].vector(), source.held[TABLE])
    np.testing.assert_array_equal(found["norm"].vector(), source.held["norm"])


def test_every_matrix_of_a_stack_starts_on_4_kib_of_the_file(tmp_path):
    folder = write(tmp_path / "m", made())
    raw = (folder / "weights.farthing").read_bytes()
    found = packed.open(folder)
    data = -(-(16 + int.from_bytes(raw[8:16], "little")) // 4096) * 4096
    stack, place = found.tensors[STACK], found.header.tensors[STACK]
    stride = 4096 * -(-INT4.bytes(33, 72) // 4096)
    assert place.bytes == stack.data.size == 5 * stride
    for index in range(5):
        form, mine = stack.packed(index)
        assert form == INT4
        at = data + place.offset + index * stride
        assert at % 4096 == 0
        assert raw[at : at + mine.size] == mine.tobytes()
        assert mine.size == INT4.bytes(33, 72)


@pytest.mark.parametrize("piece", [1, 72 * 17, 72 * 32])
def test_pieces_of_any_size_give_the_same_stack(piece, tmp_path, monkeypatch):
    whole = (write(tmp_path / "whole", made()) / "weights.farthing").read_bytes()
    monkeypatch.setattr(packed, "PIECE", piece)
    assert (write(tmp_path / "m", made()) / "weights.farthing").read_bytes() == whole


def test_packing_a_stack_holds_one_of_its_matrices_at_a_time(tmp_path):
    """64 matrices of 256 KB each: far less than all of them is ever held."""
    source = made(experts=64, rows=512, columns=1024)
    (tmp_path / "m").mkdir()
    tracemalloc.start()
    write(tmp_path / "m", source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "m" / "weights.farthing").stat().st_size > 16 << 20
    assert peak < 8 << 20


def test_a_matrix_that_is_not_finite_is_named_with_its_place(tmp_path):
    source = made()
    plain = source.tensor

    def tensor(name: str, rows: slice = ALL, index: int | None = None) -> Any:
        found = plain(name, rows, index)
        if index == 3:
            found.scale[-1, -1] = np.inf
        return found

    source.tensor = tensor
    with pytest.raises(FormatError, match=r"up_proj\.weight' \[3\] holds NaN"):
        write(tmp_path / "m", source)


@pytest.mark.parametrize(
    ("code", "scale", "good"), [(0, 255, False), (7, 253, False), (7, 252, True), (1, 254, True)]
)
def test_fp4_past_what_fp32_holds_is_refused_by_name(code, scale, good, tmp_path):
    source = made(E2M1)
    plain = source.tensor

    def tensor(name: str, rows: slice = ALL, index: int | None = None) -> Any:
        found = plain(name, rows, index)
        if index == 4:
            found.codes[-1, :], found.scale[-1, :] = code, scale
        return found

    source.tensor = tensor
    if good:
        write(tmp_path / "m", source)
        return
    with pytest.raises(FormatError, match=r"up_proj\.weight' \[4\] holds NaN or infinity"):
        write(tmp_path / "m", source)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    form=st.sampled_from([INT4, TWO, BF16, E2M1]),
    experts=st.integers(1, 6),
    rows=st.integers(1, 70),
    columns=st.integers(1, 600),
    piece=st.integers(1, 1 << 14),
)
def test_stacks_of_any_shape_come_back(tmp_path, monkeypatch, form, experts, rows, columns, piece):
    monkeypatch.setattr(packed, "PIECE", piece)
    source = made(form, experts, rows, columns)
    found = packed.open(write(tmp_path / "m", source)).tensors
    for index in range(experts):
        assert_same(found[STACK].matrix(index), source.tensor(STACK, ALL, index))
    np.testing.assert_array_equal(found[TABLE].vector(), source.held[TABLE])
    assert_same(found["last"].matrix(), source.tensor("last"))
