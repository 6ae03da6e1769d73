"""A model to be quantized, wherever it lies: in a Hugging Face folder, GGUF, or packed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from farthing import formats
from farthing.formats import packed
from farthing.formats.hf import TOKENIZER, read_text
from farthing.formats.types import ALL, Layout, Tensors, Vector
from farthing.store.digest import sha256_of
from farthing.store.pulling import texts
from farthing.weight import ROWS, Form, Matrix, unpack

TEXTS = (*TOKENIZER, "generation_config.json")


@dataclass(frozen=True)
class Source:
    """A model's tensors, read piece by piece, and what else belongs to it. Implements Tensors."""

    name: str
    config: dict[str, Any]
    tensors: Tensors
    hashed: Callable[[], str]
    texts: Callable[[], dict[str, str]]

    @cached_property
    def sha256(self) -> str:
        """Of the files of weights that it was published in. Reads them whole, but for a packed one,
        which says it."""
        return self.hashed()

    def files(self) -> dict[str, str]:
        """Name and text of the files to carry along: tokenizer.json and its kin."""
        return self.texts()

    def names(self) -> list[str]:
        return self.tensors.names()

    def layout(self, name: str) -> Layout:
        return self.tensors.layout(name)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        return self.tensors.tensor(name, rows, index)


def open(path: Path) -> Source:
    """Raises NotFound if there is nothing, FormatError if it is damaged or not understood."""
    if (path / packed.WEIGHTS).is_file():
        found = packed.open(path)
        digest = found.header.source.sha256
        return Source(
            path.name, found.config, Mapped(found.tensors), lambda: digest, lambda: _texts(path)
        )
    checkpoint = formats.open(path)
    return Source(
        path.name,
        checkpoint.config,
        checkpoint,
        lambda: sha256_of(checkpoint.files),
        lambda: texts(checkpoint),
    )


@dataclass(frozen=True, slots=True)
class Mapped:
    """A packed folder's tensors, as a reader of any other format hands them out."""

    tensors: Mapping[str, packed.PackedTensor]

    def names(self) -> list[str]:
        return list(self.tensors)

    def layout(self, name: str) -> Layout:
        found = self.tensors[name]
        return Layout(found.shape, found.form)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        found = self.tensors[name]
        if found.form is None:
            return found.vector()[rows]
        form, data = found.packed(index)
        return rows_of(data, form, found.shape[-2], found.shape[-1], rows)


def rows_of(data: Any, form: Form, rows: int, columns: int, wanted: slice) -> Matrix:
    """Some rows of packed bytes: only their blocks of 16 are unpacked."""
    first, last, _ = wanted.indices(rows)
    begin, end = first // ROWS, -(-last // ROWS)
    each, held = form.block_bytes(columns), min(end * ROWS, rows) - begin * ROWS
    found = unpack(data[begin * each : end * each], form, held, columns)
    return cut(found, slice(first - begin * ROWS, last - begin * ROWS))


def cut(matrix: Matrix, rows: slice) -> Matrix:
    """Some rows of a matrix."""
    parts = ("scale", "minimum", "zero", "super_scale", "super_minimum")
    held = {name: getattr(matrix, name) for name in parts}
    kept = {name: None if x is None else x[rows] for name, x in held.items()}
    return Matrix(form=matrix.form, codes=matrix.codes[rows], **kept)


def _texts(folder: Path) -> dict[str, str]:
    return {name: read_text(folder / name) for name in TEXTS if (folder / name).exists()}
