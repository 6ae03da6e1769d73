"""Some samples through the model as it was: what the inputs of its linears were before.

How far they drift from those that quantized weights make is what GPTQ then makes up for. Played
once a section, by the weights of the source, beside the walk that quantizes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from farthing.formats.types import ALL, Tensors
from farthing.ops.record import Symbol
from farthing.quantize import beside
from farthing.quantize.replay import Player, needed
from farthing.quantize.sections import Plan, Section, Standin
from farthing.quantize.stream import AnyRows, Chunk, Rows, Scratch
from farthing.quantize.types import Choice, Weights
from farthing.weight import Matrix

TOKENS = 16384
"""Tokens that are played twice, at most: the drift of all others is taken to be alike."""


def wanted(plan: Plan, chosen: Mapping[str, Choice]) -> bool:
    """Whether any linear makes up for drift, and one input stands for the other everywhere.

    Not where experts are routed: another route is another input. Nor where AWQ folds factors.
    """
    methods = {choice.method for choice in chosen.values()}
    notes = {note.name for section in plan.sections for note in section.notes}
    return "gptq" in methods and "awq" not in methods and "experts" not in notes


def some(samples: list[NDArray[np.int32]]) -> list[NDArray[np.int32]]:
    """The first samples, at least one: the same of every section, however wide its chunks are."""
    ends = np.cumsum([len(sample) for sample in samples])
    return samples[: max(int((ends <= TOKENS).sum()), 1)]


def play(
    section: Section,
    source: Tensors,
    chunks: list[Chunk],
    start: Rows,
    end: Path,
    scratch: Scratch,
    checked: Callable[[Weights], None],
) -> dict[Symbol, AnyRows]:
    """Inputs of the section's linears, in `scratch`; the section's end goes to `end`.

    `checked` gets all of them, and refuses what is not finite.
    """
    count = chunks[-1].stop
    linears = {note.inputs[0]: None for note in section.notes if note.name == "linear"}
    inputs = {symbol: scratch.rows(count, symbol.width) for symbol in linears}
    into = inputs | {section.out: Rows.zeros(end, count, section.out.width)}
    notes = needed(section.notes, into, {section.source})
    held: dict[tuple[str, int | None], Weights] = {}
    reading = Lock()

    def numbers(one: Standin, index: int | None) -> Weights:
        key = one.name, index
        with reading:
            if key not in held:
                held[key] = _numbers(source, one, index)
            return held[key]

    player = Player(numbers)

    def play(chunk: Chunk) -> None:
        known = {section.source: start.read(chunk.start, chunk.stop)}
        with np.errstate(over="ignore", invalid="ignore"):  # `checked` says it better
            played = player.play(notes, known, chunk, set(into))
        for symbol, values in played.items():
            checked(values)
            into[symbol].write(chunk.start, values)

    beside.in_order(play, chunks)
    return inputs


def _numbers(source: Tensors, one: Standin, index: int | None) -> Weights:
    found = source.tensor(one.name, ALL, index)
    return found.dequantize() if isinstance(found, Matrix) else found
