"""From the notes of a model page to a native program: each note by its rule.

Linears of one input become one op, so that their weights are read in one go; what they read is
quantized once.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from farthing.ops import lower_mixture as mixture
from farthing.ops.key_fit import Fit
from farthing.ops.lowering import Lowering, Rounding, Value, place, quantized, rounding, up, vector
from farthing.ops.record import Note, Recording, Symbol
from farthing.ops.rotation import Rotation


def lower(
    recording: Recording,
    program: Any,
    taps: Sequence[Symbol] = (),
    fits: Mapping[int, Fit] | None = None,
) -> None:
    """Builds the native program of a recording. A step hands out the values of `taps`, in
    the recording's order.

    `fits` is what calibration found of the keys of each layer, for a cache of fewer bits.
    """
    lowering = Lowering(program, fits=fits or {})
    done: set[int] = set()
    residuals = _residuals(recording.notes)
    done.update(at for _, at in residuals.values())
    for at, note in enumerate(recording.notes):
        if at not in done and note.name == "linear":
            together = [
                i for i in range(at, len(recording.notes)) if _joins(recording.notes[i], note)
            ]
            done.update(together)
            _linear(lowering, [recording.notes[i] for i in together], residuals)
        elif at not in done:
            RULES[note.name](lowering, note)
        # at its own place, though it may have been made before, together with others
        if note.out in taps:
            _tap(lowering, note.out)
    place(lowering)
    for instruction in lowering.instructions:
        instruction.emit(program)


def _tap(lowering: Lowering, symbol: Symbol) -> None:
    value, width = lowering.values[symbol], symbol.width
    lowering.add("tap", [value], [], lambda p: p.tap(value.slot, width))


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
        and rounding(other.weights[0]) == rounding(first.weights[0])
    )


def _linear(
    lowering: Lowering, notes: list[Note], residuals: dict[Symbol, tuple[Note, int]]
) -> None:
    (symbol,), precise = notes[0].inputs, notes[0].settings["precise"]
    source = lowering.values[symbol]
    if not precise:
        source = quantized(lowering, symbol, rounding(notes[0].weights[0]))
    weights = [lowering.weight(note.weights[0]) for note in notes]
    biases = [None if note.weights[1] is None else vector(note.weights[1]) for note in notes]
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


def _logits(lowering: Lowering, note: Note) -> None:
    kind: Rounding = "bf16" if rounding(note.weights[0]) == "bf16" else "int16"
    source = quantized(lowering, note.inputs[0], kind)
    weight = lowering.weight(note.weights[0])
    lowering.add("logits", [source], [], lambda p: p.logits(source.slot, weight))


def _embedding(lowering: Lowering, note: Note) -> None:
    out, table = lowering.value(note.out), lowering.weight(note.weights[0])
    lowering.add("embed", [], [out], lambda p: p.embed(table, out.slot))


def _rms_norm(lowering: Lowering, note: Note) -> None:
    x, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    weight, heads, eps = vector(note.weights[0]), note.settings["heads"], note.settings["eps"]
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
        out = Value(4 * up(2 * len(rotation.frequencies), 16), wanted=False)
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
    sinks = None if note.weights[0] is None else vector(note.weights[0])
    fit = lowering.fits.get(s["layer"])
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
            shift=None if fit is None else fit.shift.reshape(-1),
            feedback=None if fit is None else fit.feedback.reshape(-1),
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
    "head_linear": mixture.head_linear,
    "latent_attention": mixture.latent_attention,
    "route": mixture.route,
    "experts": mixture.experts,
    "scale": mixture.scale,
    "part": mixture.part,
    "join": mixture.join,
    "silu_mul": _silu_mul,
    "add": _add,
    "rows": _rows,
}
