"""Plays the notes of a section on arrays: calibration samples, each fresh and whole."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from farthing import ops
from farthing.ops.record import Note, Symbol
from farthing.ops.reference_mixture import sigmoid
from farthing.quantize import swift
from farthing.quantize.sections import Standin, activation_of
from farthing.quantize.stream import Chunk
from farthing.quantize.types import Weights

Values = dict[Symbol, Any]


def needed(notes: list[Note], targets: Iterable[Symbol], known: Iterable[Symbol]) -> list[Note]:
    """The notes that make the targets of what is known, in order."""
    wanted, known = set(targets), set(known)
    kept: list[Note] = []
    for note in reversed(notes):
        if note.out in wanted and note.out not in known:
            kept.append(note)
            wanted.update(note.inputs)
    return kept[::-1]


@dataclass(slots=True)
class Player:
    """Plays chunks. `numbers` gives the fp32 numbers of a tensor; of a stack, of matrix `index`."""

    numbers: Callable[[Standin, int | None], Weights]
    turns: dict[tuple[int, tuple[int, ...]], swift.Turn] = field(default_factory=dict)

    def play(
        self, notes: list[Note], known: Mapping[Symbol, Any], chunk: Chunk, kept: set[Symbol]
    ) -> Values:
        """Values of `kept`; all others are forgotten as soon as nobody reads them any more."""
        values: Values = dict(known)
        readers = Counter(symbol for note in notes for symbol in note.inputs)
        for note in notes:
            inputs = [values[symbol] for symbol in note.inputs]
            values[note.out] = RULES[note.name](self, note, chunk, *inputs)
            for symbol in note.inputs:
                readers[symbol] -= 1
                if not readers[symbol] and symbol not in kept:
                    values.pop(symbol, None)
        return {symbol: values[symbol] for symbol in kept}

    def weight(self, note: Note, at: int = 0) -> Any:
        return None if note.weights[at] is None else self.numbers(note.weights[at], None)

    def turn(self, note: Note, chunk: Chunk) -> swift.Turn:
        rotation = note.settings["rotation"]
        key = id(rotation), chunk.lengths
        turn = self.turns.get(key)
        if turn is None:
            turn = swift.Turn(rotation, chunk.positions)
            self.turns = {key: turn}  # never changed in place: another thread may look
        return turn


def _rms_norm(player: Player, note: Note, chunk: Chunk, x: Weights) -> Weights:
    return swift.rms_norm(x, player.weight(note), **note.settings)


def _linear(player: Player, note: Note, chunk: Chunk, x: Weights) -> Weights:
    bias = player.weight(note, 1)
    out: Weights = x @ player.weight(note).T
    if bias is not None:
        out += bias
    return out


def _head_linear(player: Player, note: Note, chunk: Chunk, x: Weights) -> Weights:
    stack: Standin = note.weights[0]
    heads, rows, columns = stack.shape
    out = np.empty((len(x), heads * rows), np.float32)
    for i in range(heads):
        one = player.numbers(stack, i)
        out[:, i * rows : (i + 1) * rows] = x[:, i * columns : (i + 1) * columns] @ one.T
    return out


def _rope(player: Player, note: Note, chunk: Chunk, x: Weights) -> Weights:
    return player.turn(note, chunk)(x, note.settings["heads"])


def _attention(
    player: Player, note: Note, chunk: Chunk, q: Weights, k: Weights, v: Weights
) -> Weights:
    s = {name: note.settings[name] for name in ("heads", "kv_heads", "scale", "window")}
    return swift.attention(q, k, v, chunk.lengths, sinks=player.weight(note), **s)


def _latent_attention(
    player: Player, note: Note, chunk: Chunk, q: Weights, latent: Weights
) -> Weights:
    s, value = note.settings, latent[:, : note.settings["value"]]
    return swift.attention(
        q, latent, value, chunk.lengths, heads=s["heads"], kv_heads=1, scale=s["scale"]
    )


def _route(player: Player, note: Note, chunk: Chunk, logits: Weights) -> Any:
    return ops.route(logits, note.settings["router"], player.weight(note))


def _silu_mul(player: Player, note: Note, chunk: Chunk, gate: Weights, up: Weights) -> Weights:
    return swift.gated(gate, up, activation_of(note))


def _beside(player: Player, note: Note, chunk: Chunk, total: Weights, *more: Weights) -> Weights:
    answer, *gate = more
    return total + (sigmoid(gate[0]) * answer if gate else answer)


def _add(player: Player, note: Note, chunk: Chunk, x: Weights, y: Weights) -> Weights:
    return x + y


def _scale(player: Player, note: Note, chunk: Chunk, x: Weights) -> Weights:
    return x * np.float32(note.settings["factor"])


def _part(player: Player, note: Note, chunk: Chunk, x: Weights) -> Any:
    return ops.part(x, **note.settings)


def _join(player: Player, note: Note, chunk: Chunk, x: Weights, y: Weights) -> Any:
    return ops.join(x, y, **note.settings)


def _rows(player: Player, note: Note, chunk: Chunk, x: Weights) -> Weights:
    return x


RULES: dict[str, Callable[..., Any]] = {
    "add": _add,
    "attention": _attention,
    "beside": _beside,
    "head_linear": _head_linear,
    "join": _join,
    "latent_attention": _latent_attention,
    "linear": _linear,
    "part": _part,
    "rms_norm": _rms_norm,
    "rope": _rope,
    "route": _route,
    "rows": _rows,
    "scale": _scale,
    "silu_mul": _silu_mul,
}
"""Every note but those that a pass over chunks does not play: embedding, experts, logits."""
