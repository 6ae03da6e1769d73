"""Rows of tokens in an order that only the recipe decides: row r of a run is always the same.

Each corpus is an endless stream of rows (streams.py); which corpus a row comes from is drawn once
for the whole run. So a run resumes from its step alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.learn.corpus import Corpus
from farthing.learn.streams import Cut, Row, Stream, Whole


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
        whole: bool = False,
    ) -> None:
        kind: Callable[[Corpus, int, int], Stream] = Whole if whole else Cut
        self.length, self.corpora = length, corpora
        self.streams = [kind(corpus, seed + i, length) for i, corpus in enumerate(corpora)]
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
        which, found = self._found(row)
        return which, found.places[: self.length]

    def _row(self, row: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        which, found = self._found(row)
        corpus = self.corpora[which]
        learned = np.arange(len(found.places)) < found.whole
        if corpus.learned is not None:
            learned &= corpus.learned[found.places]
        return corpus.tokens[found.places].astype(np.int64), learned, found.documents

    def _found(self, row: int) -> tuple[int, Row]:
        which = int(self.which[row])
        return which, self.streams[which].row(int(self.before[row]))


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
