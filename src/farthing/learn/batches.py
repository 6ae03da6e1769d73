"""Rows of tokens in an order that only the recipe decides: row r of a run is always the same.

Each corpus is an endless stream of its documents, shuffled anew each time round and cut into rows;
which corpus a row comes from is drawn once for the whole run. So a run resumes from its step alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.learn.corpus import Corpus


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of L tokens. A document that begins in a row stands at position 0 there, as does what
    is left of one that began in the row before: nobody looks past a row's or a document's start.
    """

    tokens: Tensor
    """[B, L]"""

    targets: Tensor
    """[B, L + 1]: targets[:, i] follows tokens[:, i]; the last is one further."""

    learned: Tensor
    """[B, L + 1] bool: whether that target counts: it is of the same document, and learned."""

    documents: Tensor
    """[B, L]: which document of the row a token belongs to, from 0."""

    positions: Tensor
    """[B, L]"""

    rows: Tensor = field(default_factory=lambda: torch.arange(0))
    """[B]: which rows of the run they are."""

    def seen(self) -> Tensor:
        """[B, L, L] bool: whether a token sees another: of its document, and not after it."""
        length = self.tokens.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        return causal & (self.documents[:, :, None] == self.documents[:, None, :])


class Stream:
    """A corpus without end: documents in an order of their own each time round."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus, self.seed = corpus, seed
        self.lengths = np.diff(corpus.starts)
        self.rounds: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def round(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The documents' order [D], and where each ends in the round; the last two are kept."""
        if index not in self.rounds:
            order = np.random.default_rng((self.seed, index)).permutation(len(self.lengths))
            self.rounds = dict(list(self.rounds.items())[-1:])
            self.rounds[index] = order, np.cumsum(self.lengths[order])
        return self.rounds[index]

    def cut(self, begin: int, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Tokens begin..begin+count of the stream: ids, learned, and each one's document."""
        places, documents = self.places(begin, count)
        learned = np.ones(count, bool)
        if self.corpus.learned is not None:
            learned = np.asarray(self.corpus.learned[places])
        return self.corpus.tokens[places].astype(np.int64), learned, documents

    def places(self, begin: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where tokens begin..begin+count of the stream stand in the corpus; their documents."""
        size = len(self.corpus.tokens)
        places, documents = np.empty(count, np.int64), np.empty(count, np.int64)
        at = document = 0
        while at < count:
            turn, inside = divmod(begin + at, size)
            order, ends = self.round(turn)
            place = int(np.searchsorted(ends, inside, side="right"))
            left = int(ends[place]) - inside
            take, last = min(left, count - at), int(self.corpus.starts[order[place] + 1])
            places[at : at + take] = np.arange(last - left, last - left + take)
            documents[at : at + take] = document
            at, document = at + take, document + 1
        return places, documents


class Rows:
    """All rows of a run. `take(first, count)` gives rows first..first+count as one batch."""

    def __init__(
        self,
        corpora: Sequence[Corpus],
        shares: Sequence[float],
        *,
        length: int,
        rows: int,
        seed: int,
    ) -> None:
        self.length = length
        self.streams = [Stream(corpus, seed + i) for i, corpus in enumerate(corpora)]
        weights = np.asarray(shares, np.float64) / sum(shares)
        which = np.random.default_rng((seed, 1 << 20)).choice(len(corpora), rows, p=weights)
        self.which = which.astype(np.uint8)
        # of each row, how many of its corpus came before
        self.before = np.empty(rows, np.int64)
        for i in range(len(corpora)):
            mine = self.which == i
            self.before[mine] = np.arange(np.count_nonzero(mine))

    def take(self, first: int, count: int) -> Batch:
        made = [self._row(row) for row in range(first, first + count)]
        ids, learned, documents = (
            torch.from_numpy(np.stack(parts)) for parts in zip(*made, strict=True)
        )
        return replace(batch(ids, learned, documents), rows=torch.arange(first, first + count))

    def places(self, row: int) -> tuple[int, NDArray[np.int64]]:
        """Which corpus a row is of, and where its tokens [L] stand there."""
        which = int(self.which[row])
        begin = int(self.before[row]) * self.length
        return which, self.streams[which].places(begin, self.length)[0]

    def _row(self, row: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        stream: Stream = self.streams[int(self.which[row])]
        # two more than a row: the last token's successor, and that one's
        return stream.cut(int(self.before[row]) * self.length, self.length + 2)


def batch(ids: Tensor, learned: Tensor, documents: Tensor) -> Batch:
    """From [B, L + 2] each."""
    length = ids.shape[1] - 2
    same = documents[:, 1:] == documents[:, :-1]
    here = documents[:, :length]
    place = torch.arange(length).expand_as(here)
    fresh = torch.ones_like(here, dtype=torch.bool)
    fresh[:, 1:] = ~same[:, : length - 1]
    began = torch.where(fresh, place, 0).cummax(dim=1).values
    return Batch(
        tokens=ids[:, :length],
        targets=ids[:, 1:],
        learned=learned[:, 1:] & same,
        documents=here,
        positions=place - began,
    )
