"""Stacks and tables in a packed checkpoint: whole, on their grid, read one matrix at a time."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats import packed
from farthing.formats.types import ALL, Layout
from farthing.weight import BF16, E2M1, Form, Matrix

SOURCE = packed.Source("stacks", "0" * 64, "gguf")
INT4 = Form(bits=4, group=32, scale="f16", offset="none")
TWO = Form(bits=4, group=32, scale="two_level", offset="min")
FIELDS = ("codes", "scale", "minimum", "super_scale", "super_minimum")


def matrix(form: Form, rows: int, columns: int, seed: int) -> Matrix:
    random = np.random.default_rng(seed)
    if form == BF16:
        values = random.integers(0, 0x7F80, (rows, columns)).astype(np.uint16)
        return Matrix(form=form, codes=values)
    groups, supers = -(-columns // form.group), -(-columns // 256)
    fields: dict[str, Any] = {"codes": random.integers(0, 16, (rows, columns)).astype(np.uint8)}
    if form == E2M1:
        scale = random.integers(0, 253, (rows, groups)).astype(np.uint8)
        return Matrix(form=form, scale=scale, **fields)
    if form.scale == "f16":
        return Matrix(form=form, scale=random.random((rows, groups)).astype(np.float16), **fields)
    for name in ("scale", "minimum"):
        fields[name] = random.integers(0, 64, (rows, groups)).astype(np.uint8)
        fields[f"super_{name}"] = random.random((rows, supers)).astype(np.float16)
    return Matrix(form=form, **fields)


class Made:
    """`formats.types.Tensors` whose matrices are made when asked for, of fp32 arrays held."""

    def __init__(self, layouts: dict[str, Layout], held: dict[str, NDArray[np.float32]]) -> None:
        self.layouts = layouts | {name: Layout(a.shape, None) for name, a in held.items()}
        self.held = held

    def names(self) -> list[str]:
        return list(self.layouts)

    def layout(self, name: str) -> Layout:
        return self.layouts[name]

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Any:
        layout = self.layouts[name]
        if layout.form is None:
            return self.held[name]
        assert (index is None) == (len(layout.shape) == 2)
        whole = matrix(layout.form, *layout.shape[-2:], seed=index or 0)
        fields = {field: getattr(whole, field) for field in FIELDS}
        return Matrix(form=layout.form, **{f: a[rows] for f, a in fields.items() if a is not None})


STACK, TABLE = (
    "model.layers.0.mlp.experts.up_proj.weight",
    "model.layers.0.mlp.experts.up_proj.bias",
)


def made(form: Form = INT4, experts: int = 5, rows: int = 33, columns: int = 72) -> Made:
    table = np.random.default_rng(0).standard_normal((experts, rows), np.float32)
    plain = Layout((rows, columns), form)
    layouts = {"first": plain, STACK: Layout((experts, rows, columns), form), "last": plain}
    return Made(layouts, {TABLE: table, "norm": table[0]})


def write(folder: Path, tensors: Made) -> Path:
    folder.mkdir(exist_ok=True)
    packed.write(folder, {}, tensors, source=SOURCE, files={})
    return folder


def assert_same(found: Matrix, expected: Matrix) -> None:
    assert found.form == expected.form
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))


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
    assert stack.stride == 4096 * -(-INT4.bytes(33, 72) // 4096)
    assert place.bytes == stack.data.size == 5 * stack.stride
    for index in range(5):
        mine = stack.packed(index)
        at = data + place.offset + index * stack.stride
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
    given = source.tensor

    def tensor(name: str, rows: slice = ALL, index: int | None = None) -> Any:
        found = given(name, rows, index)
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
    given = source.tensor

    def tensor(name: str, rows: slice = ALL, index: int | None = None) -> Any:
        found = given(name, rows, index)
        if index == 4:
            found.codes[-1, :], found.scale[-1, :] = code, scale
        return found

    source.tensor = tensor
    if good:
        write(tmp_path / "m", source)
        return
    with pytest.raises(FormatError, match=r"up_proj\.weight' \[4\] holds NaN or infinity"):
        write(tmp_path / "m", source)


def edit(folder: Path, name: str, **fields: Any) -> None:
    """Change one entry of the header, the data where it was."""
    path = folder / "weights.farthing"
    raw = path.read_bytes()
    length = int.from_bytes(raw[8:16], "little")
    header = json.loads(raw[16 : 16 + length])
    header["tensors"][name].update(fields)
    text = json.dumps(header, separators=(",", ":")).encode()
    head = raw[:8] + len(text).to_bytes(8, "little") + text
    data = raw[-(-(16 + length) // 4096) * 4096 :]
    path.write_bytes(head + bytes(-len(head) % 4096) + data)


LIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "too many matrices": (STACK, {"shape": [6, 33, 72]}, "takes"),
    "far too many": (STACK, {"shape": [1 << 60, 33, 72]}, "takes"),
    "past the end": (STACK, {"shape": [1 << 20, 33, 72], "bytes": (1 << 20) * 4096}, "within"),
    "too few": (STACK, {"shape": [4, 33, 72]}, "takes"),
    "none": (STACK, {"shape": [0, 33, 72], "bytes": 0}, "shape"),
    "negative": (STACK, {"shape": [-5, -33, 72]}, "shape"),
    "wider": (STACK, {"shape": [5, 33, 1 << 40]}, "takes"),
    "four parts": (STACK, {"shape": [5, 3, 11, 72]}, "shape"),
    "a stack without a form": (STACK, {"form": None}, "shape"),
    "a table of three parts": (TABLE, {"shape": [5, 3, 11]}, "shape"),
    "a wider table": (TABLE, {"shape": [5, 34]}, "takes"),
    "no shape": (TABLE, {"shape": []}, "shape"),
    "overlapping": ("last", {"offset": 4096}, "expected from"),
    "off the grid": (STACK, {"offset": 4096 + 64}, "multiple of 4096"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_stack_is_refused_with_its_field(name, tmp_path):
    tensor, fields, said = LIES[name]
    folder = write(tmp_path / "m", made())
    edit(folder, tensor, **fields)
    with pytest.raises(FormatError, match=said) as caught:
        packed.open(folder)
    assert "weights.farthing" in str(caught.value)


def form(**changed: Any) -> dict[str, Any]:
    fp4 = {"bits": 4, "group": 32, "scale": "e8m0", "offset": "none", "lookup": "e2m1"}
    return fp4 | changed


NONSENSE = {
    "eight bits of FP4": form(bits=8),
    "FP4 by 16": form(group=16),
    "FP4 with fp16 scales": form(scale="f16"),
    "FP4 of two levels": form(scale="two_level"),
    "FP4 with minima": form(offset="min"),
    "e8m0 without FP4": form(lookup="none"),
    "bf16 with a lookup": form(bits=16, group=0, scale="none"),
    "bf16 with a group": form(bits=16, scale="none", lookup="none"),
    "bf16 with e8m0": form(bits=16, group=0, lookup="none"),
    "bf16 with a minimum": form(bits=16, group=0, scale="none", offset="min", lookup="none"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_a_form_that_makes_no_sense_is_refused(name, tmp_path):
    folder = write(tmp_path / "m", made(E2M1))
    edit(folder, STACK, form=NONSENSE[name])
    with pytest.raises(FormatError, match="no form we know"):
        packed.open(folder)


def test_an_unknown_lookup_is_refused(tmp_path):
    folder = write(tmp_path / "m", made(E2M1))
    edit(folder, STACK, form=form(lookup="nf4"))
    with pytest.raises(FormatError, match="lookup"):
        packed.open(folder)


def test_a_form_without_a_lookup_is_read_as_before(tmp_path):
    folder = write(tmp_path / "m", made(INT4))
    edit(folder, STACK, form={"bits": 4, "group": 32, "scale": "f16", "offset": "none"})
    assert packed.open(folder).tensors[STACK].form == INT4


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
