"""What a native program is made of while it is being made: values, their slots, instructions.

Values take slots, and give them back when nobody reads them any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from farthing.ops.key_fit import Fit
from farthing.ops.record import Symbol

INPUT_GROUP = 32
Rounding = Literal["int8", "int16", "bf16"]
"""What a linear's input is rounded to."""
CROSSING = ("attend", "experts", "logits")
"""Ops of which a token's part reads others' values."""
MEETS = ("linear", *CROSSING)
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
    quantized: dict[tuple[Symbol, Rounding, int], Value] = field(default_factory=dict)
    angles: dict[int, Value] = field(default_factory=dict)
    weights: dict[int, int] = field(default_factory=dict)
    fits: Mapping[int, Fit] = field(default_factory=dict)

    def value(self, symbol: Symbol, *, small: bool = True) -> Value:
        # A precise linear reads whole groups of its input as they are.
        value = Value(4 * up(symbol.width, INPUT_GROUP), symbol.wanted, small)
        self.values[symbol] = value
        return value

    def add(
        self, name: str, reads: list[Value], writes: list[Value], emit: Callable[[Any], None]
    ) -> None:
        self.instructions.append(Instruction(name, reads, writes, emit))

    def weight(self, tensor: Any) -> int:
        """The native weight of a packed tensor; the same tensor is one weight."""
        if id(tensor) not in self.weights:
            if tensor.form is None:
                raise ValueError(f"tensor {tensor.name} is kept as fp32, where a matrix is wanted")
            form, (*count, rows, columns) = tensor.form, tensor.shape
            self.weights[id(tensor)] = self.program.weight(
                form.name, form.group, sum(count), rows, columns, tensor.data
            )
        return self.weights[id(tensor)]


def place(lowering: Lowering) -> None:
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


def quantized(lowering: Lowering, symbol: Symbol, kind: Rounding, heads: int = 1) -> Value:
    key = (symbol, kind, heads)
    if key not in lowering.quantized:
        source, width = lowering.values[symbol], symbol.width // heads
        k = up(width, INPUT_GROUP)
        size = k if kind == "int8" else 2 * k
        if kind != "bf16":
            size = up(size + k // INPUT_GROUP * 20, 64)
        out = Value(up(heads * size, 64), symbol.wanted)
        lowering.add(
            "quantize",
            [source],
            [out],
            lambda p: p.quantize(source.slot, heads, width, kind, out.slot),
        )
        lowering.quantized[key] = out
    return lowering.quantized[key]


def rounding(tensor: Any) -> Rounding:
    return "bf16" if tensor.form.bits == 16 else "int8"


def vector(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.vector(), np.float32)


def up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
