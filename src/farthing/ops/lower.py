"""From the notes of a model page to a native program: which buffer each value lives in.

Linears of one input become one op, so that their weights are read in one go; what they read is
quantized once. Values take slots, and give them back when nobody reads them any more.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from farthing.ops.mixture import Bank, Router
from farthing.ops.record import Note, Recording, Symbol
from farthing.ops.rotation import Rotation

INPUT_GROUP = 32
Rounding = Literal["int8", "int16", "bf16"]
"""What a linear's input is rounded to."""
CROSSING = ("attend", "experts", "logits")
"""Ops of which a token's part reads others' values."""
MEETS = ("linear", *CROSSING)
"""Ops that all threads do together: nobody passes them before all have come."""
LATENT_HEADS = 16
"""Heads that a thread attends with at once, at most: they share a latent's values, turned once."""


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
    quantized: dict[tuple[Symbol, Rounding, int], Value] = field(default_factory=dict)
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
            form, (*count, rows, columns) = tensor.form, tensor.shape
            self.weights[id(tensor)] = self.program.weight(
                form.name, form.group, sum(count), rows, columns, tensor.data
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
            together = [
                i for i in range(at, len(recording.notes)) if _joins(recording.notes[i], note)
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


def _joins(other: Note, first: Note) -> bool:
    return (
        other.name == "linear"
        and other.inputs == first.inputs
        and other.settings == first.settings
        and _rounding(other.weights[0]) == _rounding(first.weights[0])
    )


def _rounding(tensor: Any) -> Rounding:
    return "bf16" if tensor.form.bits == 16 else "int8"


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
        crossing = instruction.name in CROSSING
        stage += crossing or instruction.name == "rows"
        for value in instruction.reads:
            value.crossing |= value.stage != stage
            value.last = at
        for value in instruction.writes:
            value.stage, value.last = stage, at
        stage += crossing


def _quantized(lowering: Lowering, symbol: Symbol, kind: Rounding, heads: int = 1) -> Value:
    key = (symbol, kind, heads)
    if key not in lowering.quantized:
        source, width = lowering.values[symbol], symbol.width // heads
        k = _up(width, INPUT_GROUP)
        size = k if kind == "int8" else 2 * k
        if kind != "bf16":
            size = _up(size + k // INPUT_GROUP * 20, 64)
        out = Value(_up(heads * size, 64), symbol.wanted)
        lowering.add(
            "quantize",
            [source],
            [out],
            lambda p: p.quantize(source.slot, heads, width, kind, out.slot),
        )
        lowering.quantized[key] = out
    return lowering.quantized[key]


def _linear(
    lowering: Lowering, notes: list[Note], residuals: dict[Symbol, tuple[Note, int]]
) -> None:
    (symbol,), precise = notes[0].inputs, notes[0].settings["precise"]
    source = lowering.values[symbol]
    if not precise:
        source = _quantized(lowering, symbol, _rounding(notes[0].weights[0]))
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
            precise,
            weights,
            [out.slot for out in outs],
            biases,
            [None if old is None else old.slot for old in olds],
        ),
    )


def _head_linear(lowering: Lowering, note: Note) -> None:
    tensor = note.weights[0]
    source = _quantized(lowering, note.inputs[0], _rounding(tensor), tensor.shape[0])
    weight, out = lowering.weight(tensor), lowering.value(note.out, small=False)
    lowering.add("linear", [source], [out], lambda p: p.head_linear(source.slot, weight, out.slot))


def _logits(lowering: Lowering, note: Note) -> None:
    rounding = _rounding(note.weights[0])
    kind: Rounding = "bf16" if rounding == "bf16" else "int16"
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
    sinks = None if note.weights[0] is None else _vector(note.weights[0])
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
            sinks,
            out.slot,
        ),
    )


def _latent_attention(lowering: Lowering, note: Note) -> None:
    q, latent = (lowering.values[symbol] for symbol in note.inputs)
    out, s, width = lowering.value(note.out, small=False), note.settings, note.inputs[1].width
    # Kept as soon as it is there, so that no thread has to wait for it before it attends.
    made = next(i for i, one in enumerate(lowering.instructions) if latent in one.writes)
    keep = Instruction("keep", [latent], [], lambda p: p.keep(latent.slot, s["layer"], width))
    lowering.instructions.insert(made + 1, keep)
    groups = (
        next(
            n
            for n in range(2, s["heads"] + 1)
            if s["heads"] % n == 0 and s["heads"] // n <= LATENT_HEADS
        )
        if s["heads"] > 1
        else 1
    )
    lowering.add(
        "attend",
        [q],
        [out],
        lambda p: p.attend_latent(
            q.slot, s["layer"], s["heads"], groups, width, s["value"], s["scale"], out.slot
        ),
    )


def _route(lowering: Lowering, note: Note) -> None:
    logits, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    router: Router = note.settings["router"]
    correction = None if note.weights[0] is None else _vector(note.weights[0])
    lowering.add(
        "route",
        [logits],
        [out],
        lambda p: p.route(
            logits.slot,
            router.experts,
            router.top_k,
            router.score,
            router.normalise,
            router.scale,
            router.groups,
            router.top_groups,
            router.group_by == "two",
            correction,
            out.slot,
        ),
    )


def _experts(lowering: Lowering, note: Note) -> None:
    x, routed, *gates = note.inputs
    chosen, gate = lowering.values[routed], [lowering.values[g] for g in gates]
    banks = [bank for bank in note.weights if bank is not None]
    sources = [_quantized(lowering, x, _rounding(bank.gate)) for bank in banks]
    made = [_bank(lowering, bank) for bank in banks]
    out, a = lowering.value(note.out, small=False), note.settings["activation"]

    def emit(program: Any) -> None:
        handed = [(s.slot, *bank) for s, bank in zip(sources, made, strict=True)]
        program.experts(
            chosen.slot,
            routed.width // 2,
            x.width,
            handed[0],
            handed[1] if len(handed) > 1 else None,
            gate[0].slot if gate else None,
            a.sharpness,
            a.shift,
            a.limit,
            out.slot,
        )

    lowering.add("experts", [*sources, chosen, *gate], [out], emit)


def _bank(lowering: Lowering, bank: Bank) -> tuple[Any, ...]:
    """Three weights, then their biases as tables of one row an expert."""
    biases = (bank.gate_bias, bank.up_bias, bank.down_bias)
    tables = [None if b is None else np.atleast_2d(_vector(b)) for b in biases]
    return (*(lowering.weight(t) for t in (bank.gate, bank.up, bank.down)), *tables)


def _scale(lowering: Lowering, note: Note) -> None:
    x, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    factor, width = note.settings["factor"], note.out.width
    lowering.add("scale", [x], [out], lambda p: p.scale(x.slot, factor, width, out.slot))


def _part(lowering: Lowering, note: Note) -> None:
    x, out, s = lowering.values[note.inputs[0]], lowering.value(note.out), note.settings
    heads, begin, end = s["heads"], s["begin"], s["end"]
    width = note.inputs[0].width // heads
    lowering.add("slice", [x], [out], lambda p: p.slice(x.slot, heads, width, begin, end, out.slot))


def _join(lowering: Lowering, note: Note) -> None:
    x, y = (lowering.values[symbol] for symbol in note.inputs)
    out, heads = lowering.value(note.out), note.settings["heads"]
    widths = [symbol.width // heads for symbol in note.inputs]
    lowering.add("join", [x, y], [out], lambda p: p.join(x.slot, y.slot, heads, *widths, out.slot))


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
    "head_linear": _head_linear,
    "latent_attention": _latent_attention,
    "route": _route,
    "experts": _experts,
    "scale": _scale,
    "part": _part,
    "join": _join,
    "silu_mul": _silu_mul,
    "add": _add,
    "rows": _rows,
}


def _vector(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.vector(), np.float32)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
