"""Routed experts, one by one: the tokens that go to each, and what it makes of them.

A starved expert borrows tokens that the router would send to it next, for its Hessian alone.
Shapes: T tokens, E experts, k experts a token, H model width, I inner width of an expert.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.ops.mixture import Activation, Bank, Router
from farthing.ops.record import Note
from farthing.quantize import fold
from farthing.quantize.check import CALIBRATED
from farthing.quantize.desk import Desk
from farthing.quantize.replay import Values
from farthing.quantize.sections import Standin, activation_of
from farthing.quantize.stream import AnyRows, Chunk, Rows, tokens_at_once
from farthing.quantize.swift import gated
from farthing.quantize.types import Moments, Weights
from farthing.quantize.walk import Walk

ENOUGH = 2
"""Rows that an expert needs, for each of its inputs."""
Ids = NDArray[np.intp]


def settle(walk: Walk, note: Note) -> None:
    """Quantizes the experts of a note as chosen; then what they add up to is known."""
    x, bank, desk = note.inputs[0], note.weights[0], walk.desk
    parts = (bank.gate, bank.up, bank.down)
    calibrated = any(desk.chosen[one.name].method in CALIBRATED for one in parts)
    routing = _route(walk, note, calibrated)
    total = walk.scratch(note.out.width, zeros=True)
    for index in range(bank.gate.shape[0]):
        own, shares = routing.tokens(index)
        more = routing.next(index, ENOUGH * bank.gate.shape[2]) if calibrated else own[:0]
        expert = Expert(walk, bank, index, activation_of(note), routing.inputs)
        with np.errstate(over="ignore", invalid="ignore"):  # `finite` says it better
            expert.settle(own, more)
            for rows, y in expert.answers(own):
                total.add(own[rows], shares[rows, None] * y)
        for one in parts:
            desk.forget(one, index)
    walk.known |= {note.out: total, x: routing.inputs}


@dataclass(slots=True)
class Routing:
    """Where the tokens go: ids and weights [T, k]. `scores` [E, T] are comparable along T."""

    ids: NDArray[np.int32]
    weights: Weights
    inputs: AnyRows
    scores: Rows | None

    def tokens(self, expert: int) -> tuple[Ids, Weights]:
        """Those that go to an expert, in order, and by which weight."""
        where, place = np.nonzero(self.ids == expert)
        return where, self.weights[where, place]

    def next(self, expert: int, enough: int) -> Ids:
        """Tokens that lie nearest to going there, as many as are lacking, in order."""
        own, _ = self.tokens(expert)
        lacking = min(enough, len(self.ids)) - len(own)
        if lacking <= 0 or self.scores is None:
            return own[:0]
        scores = self.scores.read(expert, expert + 1)[0]
        scores[own] = -np.inf
        return np.sort(np.argsort(-scores, kind="stable")[:lacking])


def _route(walk: Walk, note: Note, scored: bool) -> Routing:
    x, routed = note.inputs[:2]
    chooser = next(n for n in walk.section.notes if n.out is routed)
    (logits,), router = chooser.inputs, chooser.settings["router"]
    routing = Routing(
        np.empty((walk.tokens, router.top_k), np.int32),
        np.empty((walk.tokens, router.top_k), np.float32),
        walk.scratch(x.width),
        None,
    )
    if scored:
        path = walk.desk.writer.scratch / "scores"
        routing.scores = Rows.zeros(path, router.experts, walk.tokens)

    def visit(chunk: Chunk, values: Values) -> None:
        mine = slice(chunk.start, chunk.stop)
        walk.finite(values[logits])
        routing.ids[mine], routing.weights[mine] = values[routed].ids, values[routed].weights
        routing.inputs.write(chunk.start, values[x])
        if routing.scores is not None:
            routing.scores.columns(mine, _scores(values[logits], router).T)

    walk.over([x, logits, routed], visit, keep=False)
    return routing


def _scores(logits: Weights, router: Router) -> Weights:
    """[T, E]: what says how near a token is to an expert, against other tokens."""
    if router.score == "sigmoid":
        return logits
    largest = logits.max(-1, keepdims=True)
    total: Weights = np.exp(logits - largest).sum(-1, keepdims=True)
    return np.asarray(logits - largest - np.log(total))


@dataclass(slots=True)
class Expert:
    walk: Walk
    bank: Bank
    index: int
    activation: Activation
    inputs: AnyRows

    @property
    def desk(self) -> Desk:
        return self.walk.desk

    def settle(self, own: Ids, more: Ids) -> None:
        """Gate and up by what comes in, then down by what they make of it."""
        rows = np.concatenate([own, more])
        if self._folds():
            self._fold(rows)
        pair = [self.bank.gate, self.bank.up]
        self._settle(pair, self._moments(pair, self._inputs(rows)), len(more))
        down = [self.bank.down]
        self._settle(down, self._moments(down, self._inner(rows)), len(more))

    def _folds(self) -> bool:
        """Whether down's factors can be taken by up. Gate and up share their input with the
        router, which is left alone."""
        up, bank = self.desk.chosen[self.bank.up.name].method, self.bank
        down = self.desk.chosen[bank.down.name].method
        linear = fold.linear_in_up(self.activation) and bank.up_bias is None
        return down == "awq" and up != "keep" and linear

    def _fold(self, rows: Ids) -> None:
        up, down, index = self.bank.up, self.bank.down, self.index
        moments = self._moments([down], self._inner(rows))
        assert moments is not None
        factors = fold.factors_of(self.desk, [down], moments, index)
        self.desk.change(up, self.desk.numbers(up, index) / factors[:, None], index)
        self.desk.change(down, self.desk.numbers(down, index) * factors, index)

    def answers(self, own: Ids) -> Iterator[tuple[slice, Weights]]:
        down, bias = self._matrix(self.bank.down), self._bias(self.bank.down_bias)
        for (rows, _), (_, inner) in zip(self._inputs(own), self._inner(own), strict=True):
            yield rows, inner @ down.T + bias

    def _settle(self, parts: list[Standin], moments: Moments | None, borrowed: int) -> None:
        factor = None if moments is None else self.walk.factor(parts, moments)
        for one in parts:
            used = moments if self.desk.chosen[one.name].method in CALIBRATED else None
            self.desk.settle(
                one,
                self.index,
                moments=used,
                factor=factor,
                borrowed=0 if used is None else borrowed,
            )

    def _moments(
        self, parts: list[Standin], rows: Iterator[tuple[slice, Weights]]
    ) -> Moments | None:
        if all(self.desk.chosen[one.name].method not in CALIBRATED for one in parts):
            return None
        gathering = self.walk.gathering(parts[0].shape[-1])
        for _, x in rows:
            gathering.add(x)
        self.walk.finite(gathering.hessian)
        return gathering.done()

    def _inputs(self, ids: Ids) -> Iterator[tuple[slice, Weights]]:
        step = tokens_at_once(max(self.bank.gate.shape[1:]))
        for at in range(0, len(ids), step):
            yield slice(at, at + step), self.inputs.gather(ids[at : at + step])

    def _inner(self, ids: Ids) -> Iterator[tuple[slice, Weights]]:
        gate, up = self._matrix(self.bank.gate), self._matrix(self.bank.up)
        biases = self._bias(self.bank.gate_bias), self._bias(self.bank.up_bias)
        for rows, x in self._inputs(ids):
            yield rows, gated(x @ gate.T + biases[0], x @ up.T + biases[1], self.activation)

    def _matrix(self, one: Standin) -> Weights:
        return self.desk.numbers(one, self.index)

    def _bias(self, table: Standin | None) -> Any:
        return np.float32(0) if table is None else self.desk.numbers(table)[self.index]
