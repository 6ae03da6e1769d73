"""From the notes of a model page to a native program: which buffer each value lives in.

Linears of one input become one op, so that their weights are read in one go; what they read is
quantized once. Values take slots, and give them back when nobody reads them any more.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from farthing.ops.record import Note, Recording, Symbol
from farthing.ops.rotation import Rotation

INPUT_GROUP = 32
Rounding = Literal["int8", "int16", "bf16"]
"""What a linear's input is rounded to."""
MEETS = ("linear", "attend", "logits")
"""Ops that all threads do together: nobody passes them before all have come."""


@dataclass(eq=False, slots=True)
class Value:
    """`small`: any thread may make it for itself. `crossing`: it is read in a later stage."""

    bytes: int
    wanted: bool
    small: bool = True
    stage: int = -1
    crossing: bool = False
    last: int = -1
    slot: int = -1


@dataclass(eq=False, slots=True)
class Instruction:
    name: str
    reads: list[Value]
    writes: list[Value]
    emit: Callable[[Any], None]
    """Calls the native builder; the values' slots are known by then."""


@dataclass(eq=False)
class Lowering:
    program: Any
    instructions: list[Instruction] = field(default_factory=list)
    values: dict[Symbol, Value] = field(default_factory=dict)
    quantized: dict[tuple[Symbol, Rounding], Value] = field(default_factory=dict)
    angles: dict[int, Value] = field(default_factory=dict)
    weights: dict[int, int] = field(default_factory=dict)

    def value(self, symbol: Symbol, *, small: bool = True) -> Value:
        value = Value(4 * _up(symbol.width, 16), symbol.wanted, small)
        self.values[symbol] = value
        return value

    def add(
        self, name: str, reads: list[Value], writes: list[Value], emit: Callable[[Any], None]
    ) -> None:
        self.instructions.append(Instruction(name, reads, writes, emit))

    def weight(self, tensor: Any) -> int:
        """The native weight of a packed tensor; the same tensor is one weight."""
        if id(tensor) not in self.weights:
            form, (rows, columns) = tensor.form, tensor.shape
            name = f"{form.bits}-{form.scale}" + ("-min" if form.offset == "min" else "")
            self.weights[id(tensor)] = self.program.weight(
                name, form.group, rows, columns, tensor.data
            )
        return self.weights[id(tensor)]


def lower(recording: Recording, program: Any) -> None:
    """Builds the native program of a recording."""
    lowering = Lowering(program)
    done: set[int] = set()
    residuals = _residuals(recording.notes)
    done.update(at for _, at in residuals.values())
    for at, note in enumerate(recording.notes):
        if at in done:
            continue
        if note.name == "linear":
            bits = note.weights[0].form.bits
            together = [
                i for i in range(at, len(recording.notes)) if _joins(recording.notes[i], note, bits)
            ]
            done.update(together)
            _linear(lowering, [recording.notes[i] for i in together], residuals)
        else:
            RULES[note.name](lowering, note)
    _place(lowering)
    for instruction in lowering.instructions:
        instruction.emit(program)


def _residuals(notes: list[Note]) -> dict[Symbol, tuple[Note, int]]:
    """Linears whose result is only added to a value made before: the adding note and its place.

    The native linear adds as it stores, the same single addition.
    """
    readers = Counter(symbol for note in notes for symbol in note.inputs)
    made = {note.out: at for at, note in enumerate(notes)}
    found = {}
    for at, note in enumerate(notes):
        if note.name == "add":
            x, y = note.inputs
            maker = notes[made[y]]
            if maker.name == "linear" and readers[y] == 1 and made[x] < made[y]:
                found[y] = note, at
    return found


def _joins(other: Note, first: Note, bits: int) -> bool:
    return (
        other.name == "linear"
        and other.inputs == first.inputs
        and (other.weights[0].form.bits == 16) == (bits == 16)
    )


def _place(lowering: Lowering) -> None:
    """Gives every value a slot. One freed is taken again only where no thread can still read it."""
    _lifetimes(lowering.instructions)
    free: dict[tuple[int, bool, bool, bool], list[int]] = {}
    waiting: list[Value] = []
    for at, instruction in enumerate(lowering.instructions):
        for value in instruction.writes:
            kind = (value.bytes, value.wanted, value.small, value.crossing)
            slots = free.setdefault(kind, [])
            value.slot = slots.pop() if slots else lowering.program.slot(*kind)
        for value in {*instruction.reads, *instruction.writes}:
            if value.last == at:
                waiting.append(value)
        # A slow thread may read a shared value until all have met.
        ready = [v for v in waiting if v.small or instruction.name in MEETS]
        waiting = [v for v in waiting if v not in ready]
        for value in ready:
            free[value.bytes, value.wanted, value.small, value.crossing].append(value.slot)


def _lifetimes(instructions: list[Instruction]) -> None:
    stage = 0
    for at, instruction in enumerate(instructions):
        crossing = instruction.name in ("attend", "logits")
        stage += crossing or instruction.name == "rows"
        for value in instruction.reads:
            value.crossing |= value.stage != stage
            value.last = at
        for value in instruction.writes:
            value.stage, value.last = stage, at
        stage += crossing


def _quantized(lowering: Lowering, symbol: Symbol, kind: Rounding) -> Value:
    key = (symbol, kind)
    if key not in lowering.quantized:
        source, width = lowering.values[symbol], symbol.width
        k = _up(width, INPUT_GROUP)
        size = k if kind == "int8" else 2 * k
        if kind != "bf16":
            size += k // INPUT_GROUP * 20
        out = Value(_up(size, 64), symbol.wanted)
        lowering.add(
            "quantize", [source], [out], lambda p: p.quantize(source.slot, width, kind, out.slot)
        )
        lowering.quantized[key] = out
    return lowering.quantized[key]


def _linear(
    lowering: Lowering, notes: list[Note], residuals: dict[Symbol, tuple[Note, int]]
) -> None:
    kind: Rounding = "bf16" if notes[0].weights[0].form.bits == 16 else "int8"
    source = _quantized(lowering, notes[0].inputs[0], kind)
    weights = [lowering.weight(note.weights[0]) for note in notes]
    biases = [None if note.weights[1] is None else _vector(note.weights[1]) for note in notes]
    added = [residuals[note.out][0] if note.out in residuals else None for note in notes]
    olds = [None if add is None else lowering.values[add.inputs[0]] for add in added]
    ends = [n.out if add is None else add.out for n, add in zip(notes, added, strict=True)]
    outs = [lowering.value(end, small=False) for end in ends]
    lowering.add(
        "linear",
        [source, *(old for old in olds if old is not None)],
        outs,
        lambda p: p.linear(
            source.slot,
            weights,
            [out.slot for out in outs],
            biases,
            [None if old is None else old.slot for old in olds],
        ),
    )


def _logits(lowering: Lowering, note: Note) -> None:
    kind: Rounding = "bf16" if note.weights[0].form.bits == 16 else "int16"
    source = _quantized(lowering, note.inputs[0], kind)
    weight = lowering.weight(note.weights[0])
    lowering.add("logits", [source], [], lambda p: p.logits(source.slot, weight))


def _embedding(lowering: Lowering, note: Note) -> None:
    out, table = lowering.value(note.out), lowering.weight(note.weights[0])
    lowering.add("embed", [], [out], lambda p: p.embed(table, out.slot))


def _rms_norm(lowering: Lowering, note: Note) -> None:
    x, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    weight, heads, eps = _vector(note.weights[0]), note.settings["heads"], note.settings["eps"]
    lowering.add("norm", [x], [out], lambda p: p.norm(x.slot, weight, heads, eps, out.slot))


def _rope(lowering: Lowering, note: Note) -> None:
    rotation: Rotation = note.settings["rotation"]
    angles = _angles(lowering, rotation)
    x, out, heads = (
        lowering.values[note.inputs[0]],
        lowering.value(note.out),
        note.settings["heads"],
    )
    rotary, interleaved = 2 * len(rotation.frequencies), rotation.layout == "interleaved"
    lowering.add(
        "rope",
        [x, angles],
        [out],
        lambda p: p.rope(x.slot, angles.slot, heads, rotation.width, rotary, interleaved, out.slot),
    )


def _angles(lowering: Lowering, rotation: Rotation) -> Value:
    """Angles depend on positions alone: made once a step, for all layers."""
    if id(rotation) not in lowering.angles:
        out = Value(4 * _up(2 * len(rotation.frequencies), 16), wanted=False)
        frequencies = np.ascontiguousarray(rotation.frequencies, np.float32)
        lowering.add(
            "angles", [], [out], lambda p: p.angles(frequencies, rotation.magnitude, out.slot)
        )
        lowering.angles[id(rotation)] = out
    return lowering.angles[id(rotation)]


def _attention(lowering: Lowering, note: Note) -> None:
    q, k, v = (lowering.values[symbol] for symbol in note.inputs)
    out, s = lowering.value(note.out, small=False), note.settings
    width = note.out.width // s["heads"]
    lowering.add(
        "attend",
        [q, k, v],
        [out],
        lambda p: p.attend(
            q.slot,
            k.slot,
            v.slot,
            s["layer"],
            s["heads"],
            s["kv_heads"],
            width,
            s["scale"],
            s["window"],
            out.slot,
        ),
    )


def _silu_mul(lowering: Lowering, note: Note) -> None:
    gate, up = (lowering.values[symbol] for symbol in note.inputs)
    out, width = lowering.value(note.out), note.out.width
    lowering.add(
        "silu_mul", [gate, up], [out], lambda p: p.silu_mul(gate.slot, up.slot, width, out.slot)
    )


def _add(lowering: Lowering, note: Note) -> None:
    x, y = (lowering.values[symbol] for symbol in note.inputs)
    out, width = lowering.value(note.out), note.out.width
    lowering.add("add", [x, y], [out], lambda p: p.add(x.slot, y.slot, width, out.slot))


def _rows(lowering: Lowering, note: Note) -> None:
    x, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    width = note.out.width
    lowering.add("rows", [x], [out], lambda p: p.rows(x.slot, width, out.slot))


RULES: dict[str, Callable[[Lowering, Note], None]] = {
    "embedding": _embedding,
    "logits": _logits,
    "rms_norm": _rms_norm,
    "rope": _rope,
    "attention": _attention,
    "silu_mul": _silu_mul,
    "add": _add,
    "rows": _rows,
}


def _vector(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.vector(), np.float32)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
