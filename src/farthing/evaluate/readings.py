"""Two ways to read a checkpoint to logits: its page on NumPy in fp32, and the engine as served."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from farthing import machine, models
from farthing.config import EngineConfig
from farthing.engine.runner import PAGE, NativeRunner
from farthing.engine.types import RowSampling, Step
from farthing.errors import InputError
from farthing.evaluate.divergence import Ids
from farthing.evaluate.opened import Opened
from farthing.evaluate.opened import open as open_checkpoint
from farthing.models.types import Shape
from farthing.ops import reference_cache

STEP = 256
"""Tokens of a native step: each wants its logits, and a vocabulary may have 150,000."""

Logits = NDArray[np.float32]
NOTHING = RowSampling(**dict.fromkeys(RowSampling.__struct_fields__, np.array([])))
"""Logits are read as they are: nothing is chosen."""


class Reading(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> Shape: ...

    def logits(self, ids: Ids) -> Logits:
        """[T, V] of one sequence [T], begun anew. Equal ids give equal bits."""
        ...


class Reference:
    """The model's page on NumPy: weights dequantized once and kept, activations and cache fp32."""

    def __init__(self, checkpoint: Opened) -> None:
        self.name = checkpoint.name
        _must_fit(checkpoint)
        held = {name: checkpoint.floats(name) for name in checkpoint.layouts}
        self.model = models.load(checkpoint.config, held)
        self.shape = self.model.shape

    def logits(self, ids: Ids) -> Logits:
        step = reference_cache.Step.of([(0, 0, ids.tolist())])
        cache = reference_cache.Cache.empty(self.shape.layers)
        return np.asarray(self.model.forward(step, cache), np.float32)


class Native:
    """The program that the server runs, as it runs it."""

    def __init__(self, folder: Path, kv_bits: int = 16, threads: int = 0) -> None:
        self.name = folder.name
        config = EngineConfig(max_step_tokens=STEP, kv_bits=kv_bits, threads=threads)
        self.runner = NativeRunner(folder, config)
        self.isa = self.runner.isa
        self.shape = open_checkpoint(folder).shape

    def logits(self, ids: Ids) -> Logits:
        if len(ids) > self.runner.pages * PAGE:
            raise InputError(
                f"{len(ids)} tokens in one sequence, and the cache holds"
                f" {self.runner.pages * PAGE}; give a smaller --length"
            )
        found = np.empty((len(ids), self.shape.vocabulary), np.float32)
        for step in _steps(ids):
            at = int(step.positions[0])
            found[at : at + len(step.tokens)] = self.runner.logits(step)
        return found


def reference_reading(checkpoint: Path | Opened) -> Reference:
    """Of a packed folder, a Hugging Face folder or a GGUF file; InputError if it does not fit."""
    return Reference(checkpoint if isinstance(checkpoint, Opened) else open_checkpoint(checkpoint))


def engine_reading(folder: Path, kv_bits: int = 16, threads: int = 0) -> Native:
    """Of a packed folder."""
    return Native(folder, kv_bits, threads)


def _must_fit(checkpoint: Opened) -> None:
    needed = 4 * sum(prod(layout.shape) for layout in checkpoint.layouts.values())
    room = machine.memory().available
    if needed > room:
        raise InputError(
            f"{checkpoint.name} takes {needed / 1e9:.1f} GB of memory as fp32, and"
            f" {room / 1e9:.1f} GB are free: it can't be a reference here; use a machine with more"
        )


def _steps(ids: Ids) -> Iterator[Step]:
    """One sequence in chunks, on the first pages of the pool; every row is wanted."""
    for begin in range(0, len(ids), STEP):
        chunk = np.ascontiguousarray(ids[begin : begin + STEP], np.int32)
        had, needed = -(-begin // PAGE), -(-(begin + len(chunk)) // PAGE)
        yield Step(
            tokens=chunk,
            starts=np.array([0, len(chunk)], np.int32),
            positions=np.array([begin], np.int32),
            tables=np.arange(needed, dtype=np.int32)[None],
            fresh=np.arange(had, needed, dtype=np.int32),
            rows=np.arange(len(chunk), dtype=np.int32),
            sampling=NOTHING,
        )
