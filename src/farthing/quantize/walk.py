"""One section quantized: passes over the samples, each as far as the next matrices' inputs.

True sequential: what is quantized already is what the next inputs are made with.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from farthing.errors import FormatError
from farthing.ops.record import Note, Symbol
from farthing.quantize import beside
from farthing.quantize.beside import After
from farthing.quantize.check import some_rows
from farthing.quantize.desk import Desk, named
from farthing.quantize.gptq import Factor
from farthing.quantize.moments import Gathering
from farthing.quantize.replay import Player, Values, needed
from farthing.quantize.sections import MATRICES, Section, Standin, standins
from farthing.quantize.stream import AnyRows, Chunk, Rows, Scratch
from farthing.quantize.types import Moments, Weights


class Walk:
    """`known` symbols have rows: the section's source to begin with."""

    def __init__(
        self,
        section: Section,
        desk: Desk,
        chunks: list[Chunk],
        known: dict[Symbol, AnyRows],
        scratch: Scratch,
    ) -> None:
        self.section, self.desk, self.chunks, self.known = section, desk, chunks, known
        self.tokens = chunks[-1].stop if chunks else 0
        self.player = Player(desk.numbers)
        self._scratch = scratch
        self._scratch.begin(desk.writer.scratch)
        self.exact: dict[Symbol, AnyRows] = {}
        """Inputs of linears as they were before anything was quantized, of the first tokens."""

    def scratch(self, width: int, *, zeros: bool = False) -> AnyRows:
        return self._scratch.rows(self.tokens, width, zeros=zeros)

    def over(
        self,
        targets: Iterable[Symbol],
        visit: Callable[[Chunk, Values], After | None],
        keep: bool = True,
    ) -> None:
        """One pass: `visit` gets each chunk and the values of the targets, two chunks side by side;
        what it leaves is done in their order.

        `keep` those that took products, for the passes after: unless what makes them may change
        yet, or nobody needs them any more.
        """
        targets = set(targets)
        notes = needed(self.section.notes, targets, self.known)
        wanted = targets | {symbol for note in notes for symbol in note.inputs}
        read = [symbol for symbol in wanted if symbol in self.known]
        made = [symbol for symbol in targets if keep and self._dear(symbol)]
        dear = {symbol: self.scratch(symbol.width) for symbol in made}

        def play(chunk: Chunk) -> After | None:
            known = {symbol: self.known[symbol].read(chunk.start, chunk.stop) for symbol in read}
            with np.errstate(over="ignore", invalid="ignore"):  # `finite` says it better
                values = self.player.play(notes, known, chunk, targets)
                for symbol, rows in dear.items():
                    rows.write(chunk.start, values[symbol])
                return visit(chunk, values)

        with np.errstate(over="ignore", invalid="ignore"):
            beside.in_order(play, self.chunks)
        self.known |= dear

    def _dear(self, symbol: Symbol) -> bool:
        return any(n.name in MATRICES for n in needed(self.section.notes, [symbol], self.known))

    def calibrate(self, experts: Callable[["Walk", Note], None]) -> None:
        """Every matrix that waits for moments, in the order of dependence."""
        for note in self.section.notes:
            if note.name == "experts":
                experts(self, note)
            elif note.name in ("linear", "logits") and self.desk.waits(note.weights[0]):
                self._linears(note)
            elif note.name == "head_linear" and self.desk.waits(note.weights[0]):
                self._heads(note)

    def write(self, rows: Rows) -> None:
        """The last pass: the section's end goes to `rows`."""
        end = self.section.out

        def visit(chunk: Chunk, values: Values) -> None:
            self.finite(values[end])
            rows.write(chunk.start, values[end])

        self.over([end], visit, keep=False)

    def finite(self, values: Weights) -> None:
        if not np.isfinite(values).all():
            raise FormatError(
                f"{self.section.name}: its activations are not finite on these samples; the"
                " checkpoint is damaged, or its config.json is not its own"
            )

    def moments(
        self, symbols: Iterable[Symbol], heads: int = 1, keep: bool = True
    ) -> dict[Symbol, list[Moments]]:
        """Of each symbol, and of each of `heads` equal parts of it, from one pass."""
        gathered = {s: [self.gathering(s.width // heads) for _ in range(heads)] for s in symbols}

        def visit(chunk: Chunk, values: Values) -> After:
            left: list[After] = []
            for symbol, parts in gathered.items():
                for part, x in zip(parts, np.split(values[symbol], heads, 1), strict=True):
                    left.append(part.adding(x))
                before = self.exact.get(symbol)
                if before is not None and heads == 1 and chunk.stop <= before.count:
                    now = before.read(chunk.start, chunk.stop)
                    left.append(parts[0].comparing(now, values[symbol]))
            return partial(_all, left)

        self.over(gathered, visit, keep)
        for parts in gathered.values():
            for part in parts:
                self.finite(part.hessian)
        return {symbol: [part.done() for part in parts] for symbol, parts in gathered.items()}

    def gathering(self, width: int) -> Gathering:
        return Gathering(width, magnitudes=self.desk.uses("awq"))

    def _linears(self, first: Note) -> None:
        """All that read one input, at once."""
        (x,) = first.inputs
        readers = [n for n in self.section.notes if n.name == first.name and n.inputs == (x,)]
        waiting = [note.weights[0] for note in readers if self.desk.waits(note.weights[0])]
        (moments,) = self.moments([x])[x]
        factor = self.factor(waiting, moments)
        if first.name == "logits":
            for one in waiting:
                self.desk.settle(one, moments=moments, factor=factor, heard=_nobody)
        else:
            self.desk.settle_all(waiting, moments, factor)

    def _heads(self, note: Note) -> None:
        (x,), one = note.inputs, note.weights[0]
        for index, moments in enumerate(self.moments([x], one.shape[0])[x]):
            self.desk.settle(one, index, moments=moments)

    def factor(self, waiting: list[Standin], moments: Moments) -> Factor | None:
        """What those that gptq takes share; None if there are none."""
        if all(self.desk.chosen[one.name].method != "gptq" for one in waiting):
            return None
        with named(waiting[0].name):
            return Factor.of(moments.hessian, moments.drift)


def settle_without_data(section: Section, desk: Desk, passed: tuple[str, ...]) -> None:
    """Those that no method needs samples for, but in the notes named in `passed`."""
    for note in section.notes:
        if note.name in passed:
            continue
        for one in standins(note):
            if desk.chosen[one.name].method == "rtn" and one.name not in desk.settled:
                heard = _nobody if note.name in ("embedding", "logits") else None
                for index in range(one.shape[0]) if len(one.shape) == 3 else (None,):
                    desk.settle(one, index, heard=heard)
                    if note.name == "experts" and index is not None:
                        desk.forget(one, index)


def embed(walk: Walk, note: Note, tokens: Any) -> None:
    """The table quantized or kept, and its rows handed to the tokens: the stream's beginning."""
    table: Standin = note.weights[0]
    out = walk.scratch(note.out.width)

    def heard(rows: slice, values: Weights) -> None:
        ids = np.flatnonzero((tokens >= rows.start) & (tokens < rows.stop))
        for at in range(0, len(ids), 1 << 16):
            some = ids[at : at + (1 << 16)]
            out.put(some, values[tokens[some] - rows.start])

    if walk.desk.chosen[table.name].method == "keep":
        for rows in some_rows(*table.shape):
            heard(rows, walk.desk.rows(table, rows))
    walk.desk.settle(table, heard=heard)
    walk.known[note.out] = out


def _nobody(rows: slice, values: Weights) -> None:
    """Nothing reads them in this section."""


def _all(left: list[After]) -> None:
    for after in left:
        after()
