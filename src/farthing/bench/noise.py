"""Random weights of a real shape, for speed: as many bytes, as hard to compress, nothing learned.

All matrices of one width and size take their rows from one pool, each from a place of its own, so
that gigabytes cost no more than writing them. What a file format makes of the pool's rows is its
own affair: files of two formats hold the same model.

Sizes are chosen so that activations stay near one, and a token's own embedding outweighs what the
layers add: random routers then spread random tokens evenly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.types import ALL, Layout, Shape, Vector
from farthing.weight import BF16, E2M1, ROWS, Form, Matrix, dense

INT4 = Form(bits=4, group=32, scale="f16", offset="none")
CODES = 1 << 25
"""Weights in a pool, at most."""
SPREAD = 4.68
"""Of an INT4 code around 8, times the spread of its scale."""
SPREAD_E2M1 = 3.2
PRECISE = ("mlp.gate.weight", "mlp.shared_expert_gate.weight")
DAMPED = ("o_proj.weight", "down_proj.weight")
EMBEDDING = "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Kind:
    """What matrices of one pool have in common. `size`: the standard deviation of a weight."""

    form: Form
    columns: int
    size: float


class Noise:
    """The weights of a model whose tensors have these shapes."""

    def __init__(self, config: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
        self.shapes = dict(shapes)
        self._fp4 = config.get("model_type") == "gpt_oss"
        self._damp = (2 * int(config["num_hidden_layers"])) ** -0.5
        self._pools: dict[Kind, Matrix] = {}
        self._rows: dict[Kind, int] = {}
        for name, shape in self.shapes.items():
            if (kind := self.kind(name)) is not None:
                self._rows[kind] = self._rows.get(kind, 0) + int(np.prod(shape[:-1]))

    def names(self) -> list[str]:
        return list(self.shapes)

    def layout(self, name: str) -> Layout:
        shape, kind = self.shapes[name], self.kind(name)
        if kind is not None:
            return Layout(shape, kind.form)
        return Layout(shape, BF16 if name.endswith(PRECISE) else None)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        """As formats.types.Tensors has it: slow, and what files are held to."""
        kind = self.kind(name)
        if kind is None:
            plain = self.layout(name).form is None
            return self.vector(name)[rows] if plain else rows_of(self.router(name), rows)
        parts = np.concatenate([np.arange(run.start, run.stop) for run in self.runs(name, index)])
        return rows_of(self.pool(kind), parts[rows])

    def kind(self, name: str) -> Kind | None:
        """None if the tensor has no pool: vectors, tables and routers."""
        shape = self.shapes[name]
        if len(shape) == 1 or name.endswith((".bias", *PRECISE)):
            return None
        columns, form = shape[-1], INT4
        if name == EMBEDDING:
            return Kind(form, columns, 1.0)
        if self._fp4 and ".mlp.experts." in name:
            form = E2M1
        damp = self._damp if name.endswith(DAMPED) else 1.0
        return Kind(form, columns, columns**-0.5 * damp)

    def pool(self, kind: Kind) -> Matrix:
        """Made when first asked for. Its rows are a multiple of 16."""
        if kind not in self._pools:
            rows = min(CODES // kind.columns, self._rows[kind] + ROWS)
            self._pools[kind] = make_pool(kind, max(rows // ROWS, 1) * ROWS)
        return self._pools[kind]

    def runs(self, name: str, index: int | None = None) -> Iterator[slice]:
        """Which rows of its pool a matrix is made of, in order; they start on multiples of 16."""
        kind = self.kind(name)
        assert kind is not None
        pool, left = self.pool(kind).shape[0], self.shapes[name][-2]
        start = crc32(f"{name} {index}".encode()) % (pool // ROWS) * ROWS
        while left:
            count = min(left, pool - start)
            yield slice(start, start + count)
            left, start = left - count, 0

    def vector(self, name: str) -> Vector:
        """Norms are ones; biases, corrections and sinks are zeros."""
        if name.endswith("norm.weight"):
            return np.ones(self.shapes[name], np.float32)
        if name.endswith((".bias", "_bias", ".sinks")):
            return np.zeros(self.shapes[name], np.float32)
        raise FormatError(f"tensor {name} {list(self.shapes[name])}: no random values for such")

    def router(self, name: str) -> Matrix:
        """[E, H] bf16."""
        experts, width = self.shapes[name]
        random = np.random.default_rng(crc32(name.encode()))
        values = random.standard_normal((experts, width), np.float32) * np.float32(width**-0.5)
        return dense(values)


def make_pool(kind: Kind, rows: int) -> Matrix:
    """Scales have random signs: the mean of the codes, which isn't zero, then comes to nothing."""
    random = np.random.default_rng(crc32(repr(kind).encode()))
    groups = -(-kind.columns // kind.form.group)
    codes = random.integers(0, 16, (rows, kind.columns), np.uint8)
    if kind.form == E2M1:
        exponent = np.floor(np.log2(kind.size / SPREAD_E2M1)) + random.integers(
            0, 2, (rows, groups)
        )
        return Matrix(form=kind.form, codes=codes, scale=(exponent + 127).astype(np.uint8))
    scale = random.uniform(0.75, 1.25, (rows, groups)) * (kind.size / SPREAD)
    scale *= random.choice((-1.0, 1.0), (rows, groups))
    return Matrix(form=kind.form, codes=codes, scale=scale.astype(np.float16))


def rows_of(matrix: Matrix, rows: slice | NDArray[np.int64]) -> Matrix:
    scale: NDArray[Any] | None = None if matrix.scale is None else matrix.scale[rows]
    return replace(matrix, codes=matrix.codes[rows], scale=scale)
