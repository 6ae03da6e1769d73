"""A checkpoint to be measured, or measured against: packed, a Hugging Face folder, or GGUF."""

import json
import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import formats, models
from farthing.errors import FormatError
from farthing.formats import packed
from farthing.formats.types import Checkpoint, Layout
from farthing.models.types import Shape
from farthing.store.digest import sha256_of
from farthing.tokenizer import Tokenizer
from farthing.tokenizer import gguf as vocabulary

RECIPE = "recipe.toml"
LARGEST_RECIPE = 1 << 20

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Opened:
    """One checkpoint. Nothing is read but its header until a tensor is asked for."""

    path: Path
    held: packed.Packed | Checkpoint

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_packed(self) -> bool:
        return isinstance(self.held, packed.Packed)

    @property
    def config(self) -> dict[str, Any]:
        return self.held.config

    @cached_property
    def sha256(self) -> str:
        """Of the source: the same for a checkpoint and what was packed from it."""
        if isinstance(self.held, packed.Packed):
            return self.held.header.source.sha256
        return sha256_of(self.held.files)

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        if isinstance(self.held, packed.Packed):
            held = self.held.tensors
            return {name: Layout(tensor.shape, tensor.form) for name, tensor in held.items()}
        return {name: self.held.layout(name) for name in self.held.names()}

    @cached_property
    def shape(self) -> Shape:
        """Raises FormatError if no model page takes its names, shapes and settings."""
        return models.load(self.config, self.layouts).shape

    def floats(self, name: str) -> Weights:
        """A tensor whole as fp32, dequantized: [N], [E, N], [N, K] or a stack's [E, N, K].

        Published floats of 16 and 32 bits as they are, though packing rounds them to bf16.
        """
        layout = self.layouts[name]
        if layout.form is None or len(layout.shape) == 2:
            return self._floats(name)
        out = np.empty(layout.shape, np.float32)
        for index in range(len(out)):
            out[index] = self._floats(name, index)
        return out

    def tokenizer(self) -> Tokenizer:
        """NotFound or FormatError where the checkpoint brings none."""
        if isinstance(self.held, packed.Packed):
            return Tokenizer.open(self.path)
        files = self.held.tokenizer_files()
        if self.held.metadata:
            files = vocabulary.files(self.held.metadata)
        with TemporaryDirectory(prefix="farthing-") as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(text)
            return Tokenizer.open(Path(folder))

    @contextmanager
    def as_packed(self) -> Iterator[Path]:
        """A packed folder of it: its own, or one that is gone afterwards."""
        if isinstance(self.held, packed.Packed):
            yield self.path
            return
        source = packed.Source(self.name, self.sha256, self.held.kind)
        with TemporaryDirectory(prefix="farthing-") as folder:
            files = {"generation_config.json": json.dumps(self.held.generation)}
            packed.write(Path(folder), self.config, self.held, source=source, files=files)
            yield Path(folder)

    def _floats(self, name: str, index: int | None = None) -> Weights:
        if not isinstance(self.held, packed.Packed):
            return self.held.values(name, index)
        tensor = self.held.tensors[name]
        return tensor.vector() if tensor.form is None else tensor.matrix(index).dequantize()


def open(path: Path) -> Opened:
    """Raises NotFound or FormatError."""
    # not resolved: a link's own name is what its model is called
    path = Path(os.path.abspath(path))
    if (path / packed.WEIGHTS).is_file():
        return Opened(path, packed.open(path))
    return Opened(path, formats.open(path))


def weights_lever(of: Opened) -> str:
    """What its weights are, as quality.json calls it: "gptq 4-f16 g32", or "4-f16-min g32" where
    no recipe says how they came to be; the form that most parameters have."""
    parameters: Counter[str] = Counter()
    for layout in of.layouts.values():
        if layout.form is not None:
            named = f"{layout.form.name} g{layout.form.group}" if layout.form.group else "bf16"
            parameters[named] += prod(layout.shape)
    form = parameters.most_common(1)[0][0] if parameters else "fp32"
    method = _method(of.path)
    return f"{method} {form}" if method else form


def activations_of(of: Opened) -> str:
    """What the engine rounds them to: int8, but bf16 where every matrix is bf16."""
    forms = [layout.form for layout in of.layouts.values()]
    return "int8" if any(form is not None and form.bits < 16 for form in forms) else "bf16"


def recipe(folder: Path) -> str | None:
    """What a model was quantized by, in TOML; None of one that was not. FormatError if damaged."""
    path = folder / RECIPE
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST_RECIPE:
        raise FormatError(f"{path}: over {LARGEST_RECIPE} bytes; no recipe is that long")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: {error}; quantize the model again") from error


def _method(folder: Path) -> str | None:
    """A recipe's method for whatever no rule of it names; None if there is no recipe."""
    path, text = folder / RECIPE, recipe(folder)
    if text is None:
        return None
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: {error}; quantize the model again") from error
    default = found.get("default")
    method = default.get("method") if isinstance(default, dict) else None
    if not isinstance(method, str):
        raise FormatError(f"{path}: the default method is {method!r:.80}; a name was expected")
    return method
