"""What every reader of a checkpoint offers. Knows no file format."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.weight import Form, Matrix

Vector = NDArray[np.float32]
Shape = tuple[int, ...]
ALL = slice(None)
ROUNDED = (".mlp.gate.weight", ".mlp.shared_expert_gate.weight")
"""How the names of routers and gates end: readers hand them out in bf16, whatever their form."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A tensor before it is read.

    With a form a matrix [N, K] or a stack of them [E, N, K], all alike; with None a vector [N] or
    a table [E, N], held as fp32.
    """

    shape: Shape
    form: Form | None


class Tensors(Protocol):
    """Named tensors, read piece by piece, so that a model need not fit in memory."""

    def names(self) -> list[str]: ...

    def layout(self, name: str) -> Layout: ...

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        """The numbers of a tensor; of a matrix, those rows alone; of a stack, matrix `index`.

        A stack is never read whole, so it has to be named which of its matrices; others have none.
        """
        ...


class Checkpoint(Tensors, Protocol):
    """A model as someone published it, under Hugging Face's names and config.json keys."""

    @property
    def kind(self) -> str:
        """ "gguf" or "huggingface"."""
        ...

    @property
    def files(self) -> list[Path]:
        """The files that hold the weights: their hash names the source."""
        ...

    @property
    def config(self) -> dict[str, Any]: ...

    @property
    def generation(self) -> dict[str, Any]:
        """generation_config.json; empty if the checkpoint has none."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """GGUF's key-value pairs; empty for other formats."""
        ...

    @property
    def unused(self) -> list[str]:
        """Tensors left out because the model does without them: a name or a pattern, and why.

        "model.layers.61.* (18 tensors): a multi-token prediction layer". All others are in
        `names()`, or were refused.
        """
        ...

    def values(self, name: str, index: int | None = None) -> Vector:
        """The numbers of a tensor as published, whole and in fp32; of a stack, matrix `index`.

        `tensor` rounds floats of other kinds to bf16; here nothing is rounded but to fp32.
        """
        ...

    def tokenizer_files(self) -> dict[str, str]:
        """File name -> JSON text; may be empty if the vocabulary is in `metadata`."""
        ...


def json_object(text: bytes | str, what: str) -> dict[str, Any]:
    """Parse JSON that must be an object without repeated keys; FormatError begins with `what`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise FormatError(f"{what}: the key {twice[:80]!r} stands there twice")
        return found

    try:
        value = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what}: not JSON we can read: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{what}: a JSON {type(value).__name__}, where an object is expected")
    return value
