"""A small checkpoint with a stack and a table, made in memory, for the tests of packed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
