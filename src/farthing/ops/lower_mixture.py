"""Rules for mixtures of experts and latent attention: their notes as native instructions."""

from typing import Any

import numpy as np

from farthing.ops.lowering import Instruction, Lowering, quantized, rounding, vector
from farthing.ops.mixture import Bank, Router
from farthing.ops.record import Note
from farthing.weight import ROWS

LATENT_HEADS = 16
"""Heads that a thread attends with at once, at most: they share a latent's values, turned once."""


def head_linear(lowering: Lowering, note: Note) -> None:
    tensor = note.weights[0]
    if tensor.shape[1] % ROWS:
        raise ValueError(
            f"tensor {tensor.name} is {list(tensor.shape)}; a head's matrix must have a multiple of"
            f" {ROWS} rows"
        )
    source = quantized(lowering, note.inputs[0], rounding(tensor), tensor.shape[0])
    weight, out = lowering.weight(tensor), lowering.value(note.out, small=False)
    lowering.add("linear", [source], [out], lambda p: p.head_linear(source.slot, weight, out.slot))


def latent_attention(lowering: Lowering, note: Note) -> None:
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


def route(lowering: Lowering, note: Note) -> None:
    logits, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    router: Router = note.settings["router"]
    correction = None if note.weights[0] is None else vector(note.weights[0])
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


def experts(lowering: Lowering, note: Note) -> None:
    x, routed, *gates = note.inputs
    chosen, gate = lowering.values[routed], [lowering.values[g] for g in gates]
    banks = [bank for bank in note.weights if bank is not None]
    sources = [quantized(lowering, x, rounding(bank.gate)) for bank in banks]
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
    tables = [None if b is None else np.atleast_2d(vector(b)) for b in biases]
    return (*(lowering.weight(t) for t in (bank.gate, bank.up, bank.down)), *tables)


def scale(lowering: Lowering, note: Note) -> None:
    x, out = lowering.values[note.inputs[0]], lowering.value(note.out)
    factor, width = note.settings["factor"], note.out.width
    lowering.add("scale", [x], [out], lambda p: p.scale(x.slot, factor, width, out.slot))


def part(lowering: Lowering, note: Note) -> None:
    x, out, s = lowering.values[note.inputs[0]], lowering.value(note.out), note.settings
    heads, begin, end = s["heads"], s["begin"], s["end"]
    width = note.inputs[0].width // heads
    lowering.add("slice", [x], [out], lambda p: p.slice(x.slot, heads, width, begin, end, out.slot))


def join(lowering: Lowering, note: Note) -> None:
    x, y = (lowering.values[symbol] for symbol in note.inputs)
    out, heads = lowering.value(note.out), note.settings["heads"]
    widths = [symbol.width // heads for symbol in note.inputs]
    lowering.add("join", [x, y], [out], lambda p: p.join(x.slot, y.slot, heads, *widths, out.slot))
