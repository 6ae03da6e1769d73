"""A corpus as rows without end: its documents, shuffled anew each time round, laid end to end.

Shapes: D documents or pieces of them, L a row's tokens.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.learn.corpus import Corpus

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """L + 2 tokens: the last one's successor is learned too, and by a next-token head that one's.

    A document that goes on after the row, and begins the next one anew, is not learned here.
    """

    places: Ints
    """Where each stands in the corpus."""

    documents: Ints
    """Which of the row's documents each belongs to, from 0."""

    whole: int
    """Tokens of documents that do not begin anew in the next row."""


class Stream(Protocol):
    def row(self, index: int) -> Row: ...


class Cut:
    """Rows end where they are full: the next one goes on within the document."""

    def __init__(self, corpus: Corpus, seed: int, length: int) -> None:
        self.starts, self.seed, self.length = corpus.starts, seed, length
        self.lengths = np.diff(corpus.starts)
        self.rounds: dict[int, tuple[Ints, Ints]] = {}

    def row(self, index: int) -> Row:
        size, count = int(self.starts[-1]), self.length + 2
        places, documents = np.empty(count, np.int64), np.empty(count, np.int64)
        at = document = 0
        while at < count:
            turn, inside = divmod(index * self.length + at, size)
            order, ends = self._round(turn)
            place = int(np.searchsorted(ends, inside, side="right"))
            left = int(ends[place]) - inside
            take, last = min(left, count - at), int(self.starts[order[place] + 1])
            places[at : at + take] = np.arange(last - left, last - left + take)
            documents[at : at + take] = document
            at, document = at + take, document + 1
        return Row(places, documents, count)

    def _round(self, index: int) -> tuple[Ints, Ints]:
        """The documents' order [D], and where each ends in the round; the last two are kept."""
        if index not in self.rounds:
            order = np.random.default_rng((self.seed, index)).permutation(len(self.lengths))
            self.rounds = dict(list(self.rounds.items())[-1:])
            self.rounds[index] = order, np.cumsum(self.lengths[order])
        return self.rounds[index]


class Whole:
    """Rows of whole documents, as many as fit, so that no answer loses its question; what is left
    is filled with the next ones' beginnings, which are not learned. A document longer than a row is
    cut into pieces that stand for documents of their own.
    """

    def __init__(self, corpus: Corpus, seed: int, length: int) -> None:
        self.seed, self.length = seed, length
        self.starts = _pieces(corpus.starts, length + 1)
        self.lengths = np.diff(self.starts)
        self.firsts = [0]
        """Rows before each round that was asked for, and after the last."""
        self.rounds: dict[int, tuple[Ints, list[int]]] = {}

    def row(self, index: int) -> Row:
        while self.firsts[-1] <= index:
            self._round(len(self.firsts) - 1)
        turn = bisect_right(self.firsts, index) - 1
        order, begins = self._round(turn)
        at = index - self.firsts[turn]
        begin, end = begins[at : at + 2]
        parts = list(self._filled(order, begin))
        documents = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return Row(np.concatenate(parts), documents, int(self.lengths[order[begin:end]].sum()))

    def _filled(self, order: Ints, at: int) -> Iterator[Ints]:
        """The places of documents from order[at] on, and round again, until a row is full."""
        left = self.length + 2
        while left > 0:
            piece = order[at % len(order)]
            size = min(int(self.lengths[piece]), left)
            yield np.arange(self.starts[piece], self.starts[piece] + size)
            left, at = left - size, at + 1

    def _round(self, index: int) -> tuple[Ints, list[int]]:
        """The pieces' order [D], and which of them begin rows; the last two rounds are kept."""
        if index not in self.rounds:
            order = np.random.default_rng((self.seed, index)).permutation(len(self.lengths))
            begins = _rows(np.cumsum(self.lengths[order]), self.length + 1)
            self.rounds = dict(list(self.rounds.items())[-1:])
            self.rounds[index] = order, begins
            if index == len(self.firsts) - 1:
                self.firsts.append(self.firsts[-1] + len(begins) - 1)
        return self.rounds[index]


def _pieces(starts: Ints, room: int) -> Ints:
    """Where pieces of at most `room` tokens begin, and the last one ends; none has but one token,
    which would teach nothing."""
    lengths = np.diff(starts)
    long = np.flatnonzero(lengths > room)
    cuts = [
        np.minimum(np.arange(starts[i] + room, starts[i + 1], room), starts[i + 1] - 2)
        for i in long
    ]
    return np.sort(np.concatenate([starts, *cuts]))


def _rows(ends: Ints, room: int) -> list[int]:
    """Of documents that end at `ends` [D]: which of them begin rows; and D."""
    begins, done = [0], 0
    while begins[-1] < len(ends):
        begins.append(int(np.searchsorted(ends, done + room, side="right")))
        done = int(ends[begins[-1] - 1])
    return begins
