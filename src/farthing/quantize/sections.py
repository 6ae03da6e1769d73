"""A model page cut into sections, each from the residual stream to the residual stream.

The page runs once on symbols. Wherever a single value is alive, as wide as the stream, the notes
are cut: attention with what comes before it, the MLP, the head. Knows no model's name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from farthing import models
from farthing.models.types import Shape
from farthing.ops.mixture import SILU, Activation, Bank
from farthing.ops.record import Note, Recording, Symbol

MATRICES = ("linear", "head_linear", "experts", "logits", "embedding")
"""Notes that hold what can be quantized."""


@dataclass(frozen=True, slots=True)
class Standin:
    """A tensor that has no numbers yet: what a note names."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Notes that make `out` of `source` alone: the stream, or in the first section the tokens."""

    notes: list[Note]
    source: Symbol
    out: Symbol

    @property
    def name(self) -> str:
        """What its tensors' names have in common: "model.layers.3"."""
        names = [one.name for note in self.notes for one in standins(note)]
        same = takewhile(
            lambda parts: len(set(parts)) == 1, zip(*(n.split(".") for n in names), strict=False)
        )
        return ".".join(parts[0] for parts in same) or f"{names[0]} to {names[-1]}"

    @property
    def width(self) -> int:
        """Of the widest value that is ever held: logits are not."""
        return max(note.out.width for note in self.notes if note.name != "logits")


@dataclass(frozen=True, slots=True)
class Plan:
    shape: Shape
    sections: list[Section]
    """The embedding, then the blocks; the last one holds the logits."""


def plan_of(config: Mapping[str, Any], names: list[str]) -> Plan:
    """Raises FormatError as models.load does: for a family not known, tensors missing or left."""
    shapes = models.tensors_of(config)
    given = {name: Standin(name, shapes.get(name, ())) for name in names}
    model = models.load(config, given)
    recording = Recording(model.shape.layers)
    model.forward(recording, recording)
    return Plan(model.shape, _sections([one for n in recording.notes for one in _parted(n)]))


def standins(note: Note) -> list[Standin]:
    """The tensors of a note, a bank's among them."""
    found: list[Standin] = []
    for weight in note.weights:
        if isinstance(weight, Bank):
            parts = (weight.gate, weight.up, weight.down)
            biases = (weight.gate_bias, weight.up_bias, weight.down_bias)
            found += [one for one in (*parts, *biases) if one is not None]
        elif weight is not None:
            found.append(weight)
    return found


def _sections(notes: list[Note]) -> list[Section]:
    """Cut where one value is alive. Notes without a matrix stay with those before them."""
    width = next(note.out.width for note in notes if note.name == "embedding")
    last = {symbol: at for at, note in enumerate(notes) for symbol in note.inputs if symbol.width}
    alive: set[Symbol] = set()
    cuts: list[int] = []
    for at, note in enumerate(notes):
        alive = {symbol for symbol in alive | {note.out} if last.get(symbol, -1) > at}
        if alive == {note.out} and note.out.width == width and not note.out.wanted:
            matrices = any(n.name in MATRICES for n in notes[cuts[-1] if cuts else 0 : at + 1])
            cuts = [*cuts, at + 1] if matrices else [*cuts[:-1], at + 1]
    ends = [*cuts, len(notes)]
    return [_section(notes[a:b]) for a, b in zip([0, *cuts], ends, strict=True)]


def _section(notes: list[Note]) -> Section:
    made = {note.out for note in notes}
    (source,) = {s for note in notes for s in note.inputs if s not in made}
    return Section(notes, source, notes[-1].out)


def _parted(note: Note) -> Iterator[Note]:
    """Shared experts are an MLP of their own, and added: linears like all others."""
    if note.name != "experts" or note.weights[1] is None:
        yield note
        return
    (x, routed, *gate), (bank, shared) = note.inputs, note.weights
    activation: Activation = note.settings["activation"]

    def linear(of: Symbol, weight: Standin, bias: Standin | None) -> Note:
        out = Symbol(of.recording, weight.shape[0])
        return Note("linear", (of,), out, (weight, bias), {"precise": False})

    total = Symbol(x.recording, x.width)
    yield Note("experts", (x, routed), total, (bank, None), note.settings)
    yield (one := linear(x, shared.gate, shared.gate_bias))
    yield (two := linear(x, shared.up, shared.up_bias))
    inner = Symbol(x.recording, one.out.width)
    settings = {"activation": activation, "bank": shared}
    yield Note("silu_mul", (one.out, two.out), inner, (), settings)
    yield (answer := linear(inner, shared.down, shared.down_bias))
    yield Note("beside", (total, answer.out, *gate), note.out)


def bank_of(note: Note) -> Bank | None:
    """The experts of a note, or the shared one that its gated unit belongs to."""
    found: Bank | None = note.weights[0] if note.name == "experts" else note.settings.get("bank")
    return found


def activation_of(note: Note) -> Activation:
    """What a gated MLP has between its products; a page's own silu_mul says nothing of it."""
    found: Activation = note.settings.get("activation", SILU)
    return found
