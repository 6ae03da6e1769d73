"""A quantized model's tensors, read from where the work on it lies, the others from its source."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farthing.errors import FormatError
from farthing.formats.types import ALL, Layout, Vector
from farthing.quantize.source import Source, rows_of
from farthing.quantize.types import Outcome
from farthing.quantize.work import ONE, Place, Work
from farthing.weight import Matrix


@dataclass(frozen=True)
class Quantized:
    """Implements formats.types.Tensors. Valid as long as the work's folder is there."""

    source: Source
    made: dict[str, tuple[Path, Place]]
    outcomes: list[Outcome]

    @classmethod
    def of(cls, source: Source, work: Work) -> "Quantized":
        made: dict[str, tuple[Path, Place]] = {}
        outcomes: list[Outcome] = []
        for number in range(work.done):
            index = work.index(number)
            path = work.section(number) / "weights"
            made |= {name: (path, place) for name, place in index.tensors.items()}
            outcomes += index.outcomes
        return cls(source, made, outcomes)

    @property
    def config(self) -> dict[str, Any]:
        return self.source.config

    def names(self) -> list[str]:
        return self.source.names()

    def layout(self, name: str) -> Layout:
        if name not in self.made:
            return self.source.layout(name)
        _, place = self.made[name]
        return Layout(place.shape, place.form)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        if name not in self.made:
            return self.source.tensor(name, rows, index)
        path, place = self.made[name]
        at, size = place.at[ONE if index is None else index]
        data = np.memmap(path, np.uint8, "r")[at : at + size]
        if len(data) != size:
            raise FormatError(f"{path}: cut short in {name[:80]!r}; quantize again")
        if place.form is None:
            vector: Vector = np.array(data).view("<f4").reshape(place.shape)[rows]
            return vector
        *_, n, k = place.shape
        return rows_of(data, place.form, n, k, rows)
