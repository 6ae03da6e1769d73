"""A GGUF file as a checkpoint: Hugging Face names, config keys and row order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.gguf_config import (
    PERMUTED,
    config_from_gguf,
    generation_from_gguf,
    name_from_gguf,
)
from farthing.formats.gguf_file import File
from farthing.formats.gguf_rope import llama3_from_factors
from farthing.formats.hf import tokenizer_files
from farthing.formats.types import ALL, Layout, Vector
from farthing.weight import Matrix

FREQUENCIES = "rope_freqs.weight"


class Gguf:
    """Implements `formats.types.Checkpoint`. The vocabulary is in `metadata`."""

    kind = "gguf"

    def __init__(self, path: Path) -> None:
        self.path, self.files = path, [path]
        self._file = File(path)
        self.metadata: Mapping[str, Any] = self._file.metadata
        self._source = self._names()
        self.config = self._config()
        self.generation = generation_from_gguf(self.metadata)
        self.unused: list[str] = []

    def names(self) -> list[str]:
        return list(self._source)

    def layout(self, name: str) -> Layout:
        entry = self._file.entries[self._source[name]]
        return Layout(entry.shape, entry.block.form if len(entry.shape) == 2 else None)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        """The numbers of one tensor; q and k in the row order that Hugging Face has."""
        assert index is None, f"{name} is no stack"
        entry = self._file.entries[self._source[name]]
        raw = self._file.raw(self._source[name])
        order = self._row_order(name, entry.shape[0])
        if len(entry.shape) == 1:
            vector = entry.block.vector(raw)
            return vector if order is None else vector[order]
        return entry.block.matrix(raw[rows] if order is None else raw[order[rows]])

    def tokenizer_files(self) -> dict[str, str]:
        """Those beside the file, for vocabularies that can't be built from `metadata`."""
        return tokenizer_files(self.path.parent)

    def _names(self) -> dict[str, str]:
        """Hugging Face's name -> the file's."""
        found: dict[str, str] = {}
        for name, entry in self._file.entries.items():
            ours = name_from_gguf(name)
            if name == FREQUENCIES:
                continue
            if ours is None or len(entry.shape) > 2:
                raise FormatError(
                    f"{self.path}: tensor {name[:80]!r} {list(entry.shape)} has no place in the"
                    f" architectures we know; this model is not supported"
                )
            found[ours] = name
        return found

    def _config(self) -> dict[str, Any]:
        embedding = self._source.get("model.embed_tokens.weight")
        if embedding is None:
            raise FormatError(f"{self.path}: token_embd.weight is missing; this is no whole model")
        config = config_from_gguf(
            str(self.path),
            self.metadata,
            vocabulary=self._file.entries[embedding].shape[0],
            tied="lm_head.weight" not in self._source,
            bias="model.layers.0.self_attn.q_proj.bias" in self._source,
        )
        if FREQUENCIES in self._file.entries:
            factors = self._file.entries[FREQUENCIES].block.vector(self._file.raw(FREQUENCIES))
            if not np.all(factors == 1):
                config["rope_scaling"] = llama3_from_factors(str(self.path), factors, config)
        return config

    def _row_order(self, name: str, rows: int) -> NDArray[np.intp] | None:
        """Where each of Hugging Face's rows lies in the file, for permuted q and k."""
        heads = {
            "q_proj": self.config["num_attention_heads"],
            "k_proj": self.config["num_key_value_heads"],
        }.get(name.split(".")[-2])
        if self.metadata["general.architecture"] not in PERMUTED or heads is None:
            return None
        if not heads or rows % (2 * heads):
            raise FormatError(f"{self.path}: {name} has {rows} rows for {heads} heads")
        return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)
