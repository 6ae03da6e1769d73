"""Which text a batch was made of: for when one makes a run stop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farthing.learn.batches import Rows
from farthing.learn.losses import losses


@dataclass(frozen=True, slots=True)
class Piece:
    row: int
    """Of the run."""

    corpus: int
    """Of the recipe's."""

    document: int
    """Of the corpus, from 0."""


def pieces(rows: Rows, row: int) -> Iterator[Piece]:
    """The documents of a row, in order."""
    corpus, places = rows.places(row)
    documents = np.searchsorted(rows.corpora[corpus].starts, places, side="right") - 1
    begins = np.flatnonzero(np.diff(documents, prepend=-1))
    for document in documents[begins].tolist():
        yield Piece(row, corpus, document)


@torch.no_grad()
def guilty(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], rows: Rows, within: range
) -> list[int]:
    """Rows whose own loss is no number, each looked at alone; all, if none is."""
    found = [
        row
        for row in within
        if not isfinite(float(losses(config, weights, rows.take(row, 1)).main))
    ]
    return found or list(within)
