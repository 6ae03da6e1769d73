"""A GGUF file as a checkpoint: Hugging Face names, config keys and row order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from farthing.errors import FormatError
from farthing.formats.gguf_config import Shown, config_from_gguf, generation_from_gguf
from farthing.formats.gguf_file import File
from farthing.formats.gguf_names import FREQUENCIES
from farthing.formats.gguf_parts import parts_of, read, values
from farthing.formats.gguf_rope import llama3_from_factors
from farthing.formats.hf import tokenizer_files
from farthing.formats.types import ALL, Layout, Vector
from farthing.weight import Matrix


class Gguf:
    """Implements `formats.types.Checkpoint`. The vocabulary is in `metadata`."""

    kind = "gguf"

    def __init__(self, path: Path) -> None:
        self.path, self.files = path, [path]
        self._file = File(path)
        self.metadata: Mapping[str, Any] = self._file.metadata
        self.config = self._config()
        self._parts, self.unused = parts_of(
            str(path),
            self.metadata["general.architecture"],
            self._file.entries,
            self.config,
        )
        self.generation = generation_from_gguf(self.metadata)

    def names(self) -> list[str]:
        return list(self._parts)

    def layout(self, name: str) -> Layout:
        part = self._parts[name]
        return Layout(part.shape, part.form)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        """The numbers of one tensor; q and k in the row order that Hugging Face has."""
        return read(self._file, self._parts[name], rows, index)

    def values(self, name: str, index: int | None = None) -> Vector:
        return values(self._file, self._parts[name], index)

    def tokenizer_files(self) -> dict[str, str]:
        """Those beside the file, for vocabularies that can't be built from `metadata`."""
        return tokenizer_files(self.path.parent)

    def _config(self) -> dict[str, Any]:
        entries = self._file.entries
        if "token_embd.weight" not in entries:
            raise FormatError(f"{self.path}: token_embd.weight is missing; this is no whole model")
        shown = Shown(
            vocabulary=entries["token_embd.weight"].shape[0],
            tied="output.weight" not in entries,
            bias="blk.0.attn_q.bias" in entries,
            normed="blk.0.attn_q_norm.weight" in entries,
        )
        config = config_from_gguf(str(self.path), self.metadata, shown)
        if FREQUENCIES in entries:
            factors = entries[FREQUENCIES].block.vector(self._file.raw(FREQUENCIES))
            if not np.all(factors == 1):
                config["rope_scaling"] = llama3_from_factors(str(self.path), factors, config)
        return config
