"""A header of stacks and tables that lies is refused, and so are forms that make no sense."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stacks import INT4, STACK, TABLE, Made, made, write

from farthing.errors import FormatError
from farthing.formats import packed
from farthing.formats.types import Layout
from farthing.weight import BF16, E2M1


def edit(folder: Path, name: str, **fields: Any) -> None:
    """Change one entry of the header, the data where it was."""
    path = folder / "weights.farthing"
    raw = path.read_bytes()
    length = int.from_bytes(raw[8:16], "little")
    header = json.loads(raw[16 : 16 + length])
    header["tensors"][name].update(fields)
    text = msgspec.json.encode(header)
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


def test_a_table_called_a_matrix_and_the_other_way_are_refused_when_read(tmp_path):
    """[8, 32] takes 1,024 bytes as fp32 and as bf16, so opening can't tell."""
    table = np.ones((8, 32), np.float32)
    folder = write(tmp_path / "m", Made({"matrix": Layout((8, 32), BF16)}, {"table": table}))
    edit(folder, "table", form=packed.open(folder).header.tensors["matrix"].form)
    edit(folder, "matrix", form=None)
    found = packed.open(folder).tensors
    with pytest.raises(FormatError, match="table: 16-none, where fp32 belongs"):
        found["table"].vector()
    with pytest.raises(FormatError, match="matrix: fp32, where packed weights belong"):
        found["matrix"].matrix()


def test_an_unknown_lookup_is_refused(tmp_path):
    folder = write(tmp_path / "m", made(E2M1))
    edit(folder, STACK, form=form(lookup="nf4"))
    with pytest.raises(FormatError, match="lookup"):
        packed.open(folder)


def test_a_form_without_a_lookup_is_read_as_before(tmp_path):
    folder = write(tmp_path / "m", made(INT4))
    edit(folder, STACK, form={"bits": 4, "group": 32, "scale": "f16", "offset": "none"})
    assert packed.open(folder).tensors[STACK].form == INT4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("stacks") / "m", made(E2M1))
    return folder, (folder / "weights.farthing").read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flips=st.lists(st.tuples(st.integers(0, 750), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 40_000),
)
def test_a_changed_header_of_stacks_is_read_or_refused(whole, flips, cut):
    folder, raw = whole
    content = bytearray(raw)
    for at, byte in flips:
        content[at] = byte
    (folder / "weights.farthing").write_bytes(content[:cut])
    tracemalloc.start()
    try:
        for tensor in packed.open(folder).tensors.values():
            if tensor.form is None:
                _ = tensor.vector()
                continue
            for index in range(tensor.shape[0]) if len(tensor.shape) == 3 else [None]:
                _ = tensor.matrix(index)
    except FormatError as error:
        assert "weights.farthing" in str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 << 20
