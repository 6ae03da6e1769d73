"""Rows of whole documents, for tuning: an answer never loses its question to a row's end.

Each epoch shuffles the documents and lays them into rows one after the other, a new row where one
does not fit; what is left of a row is filled and not learned. So a row follows from the seed alone,
and a run resumes from its step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.learn.batches import Batch, batch

Document = tuple[Sequence[int], Sequence[bool] | None]
"""Token ids, and which of them are learned: None for all."""


class WholeRows:
    """`take(first, count)` gives rows first..first+count of all epochs as one batch."""

    def __init__(
        self, documents: Sequence[Document], *, length: int, epochs: int, seed: int
    ) -> None:
        """Raises InputError for a document that no row holds, and if nothing is to be learned."""
        self.documents, self.length = documents, length
        if not documents:
            raise InputError("no document to learn from")
        sizes = np.array([len(ids) for ids, _ in documents])
        if sizes.max() > length + 1:
            at = int(sizes.argmax())
            raise InputError(
                f"document {at + 1} has {sizes[at]} tokens and a row holds {length + 1}; make rows"
                " longer (--length), or split the document"
            )
        if not any(learned is None or any(learned[1:]) for _, learned in documents):
            raise InputError("no document has anything to learn: nothing an assistant says")
        self.rows: list[NDArray[np.int64]] = []
        for epoch in range(epochs):
            order = np.random.default_rng((seed, epoch)).permutation(len(sizes))
            self.rows += cut(order, sizes[order], length + 1)

    def take(self, first: int, count: int) -> Batch:
        """Rows beyond the last are empty: nothing of them is learned."""
        shape = count, self.length + 2
        ids, learned = np.zeros(shape, np.int64), np.zeros(shape, bool)
        documents = np.full(shape, -1, np.int64)
        for row, held in enumerate(self.rows[first : first + count]):
            at = 0
            for number, document in enumerate(held):
                tokens, counts = self.documents[document]
                mine = slice(at, at + len(tokens))
                ids[row, mine] = tokens
                learned[row, mine] = True if counts is None else counts
                documents[row, mine] = number
                at += len(tokens)
        return batch(*(torch.from_numpy(part) for part in (ids, learned, documents)))


def cut(order: NDArray[np.int64], sizes: NDArray[np.int64], room: int) -> list[NDArray[np.int64]]:
    """The documents of each row, as many as fit, in the order given."""
    rows, begin, held = [], 0, 0
    for at, size in enumerate(sizes):
        if held + size > room:
            rows.append(order[begin:at])
            begin, held = at, 0
        held += size
    return [*rows, order[begin:]]
