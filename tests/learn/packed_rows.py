"""Batches of documents of given lengths, and the same as the reference sees them."""

from collections.abc import Sequence

import torch

from farthing.learn.batches import Batch, batch
from farthing.ops.reference_cache import Step


def packed(rows: Sequence[Sequence[int]], vocabulary: int, seed: int = 0) -> Batch:
    """Lengths of documents, row by row. All rows add up to one number: a row's tokens and two."""
    generator = torch.Generator().manual_seed(seed)
    documents = torch.stack(
        [torch.arange(len(row)).repeat_interleave(torch.tensor(row)) for row in rows]
    )
    ids = torch.randint(vocabulary, documents.shape, generator=generator)
    return batch(ids, torch.ones_like(documents, dtype=torch.bool), documents)


def step_of(one: Batch) -> Step:
    """Each document of each row as a sequence of its own."""
    pieces = []
    for tokens, documents in zip(one.tokens, one.documents, strict=True):
        for document in documents.unique().tolist():
            mine = tokens[documents == document].tolist()
            pieces.append((len(pieces), 0, mine))
    return Step.of(pieces, xp=torch)
