"""How far one model's next-token distributions lie from another's. Knows arrays only.

Shapes: T tokens, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError

CHUNK = 64
"""Rows taken at a time: a vocabulary of 150,000 then needs some 80 MB a copy in fp64."""

Logits = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """KL divergences in nats, over tokens; `same_top` is the share with the same likeliest."""

    tokens: int
    mean: float
    median: float
    p99: float
    largest: float
    same_top: float


def divergence(reference: Logits, measured: Logits) -> Divergence:
    """KL(reference || measured) of logits [T, V], each row a distribution.

    Raises InputError if the shapes differ or there is nothing to compare.
    """
    if reference.shape != measured.shape or reference.ndim != 2 or not reference.size:
        raise InputError(
            f"logits of {reference.shape} against {measured.shape};"
            " expected two arrays [tokens, vocabulary] of one shape, not empty"
        )
    kl = np.concatenate([_kl(p, q) for p, q in _chunks(reference, measured)])
    same = [(p.argmax(-1) == q.argmax(-1)).sum() for p, q in _chunks(reference, measured)]
    return Divergence(
        tokens=len(kl),
        mean=float(kl.mean()),
        median=float(np.median(kl)),
        p99=float(np.percentile(kl, 99)),
        largest=float(kl.max()),
        same_top=float(sum(same) / len(kl)),
    )


def _chunks(a: Logits, b: Logits) -> Iterator[tuple[Logits, Logits]]:
    for at in range(0, len(a), CHUNK):
        yield a[at : at + CHUNK], b[at : at + CHUNK]


def _kl(reference: Logits, measured: Logits) -> NDArray[np.float64]:
    """[T], never below zero, which only rounding could bring about."""
    p, q = _log_softmax(reference), _log_softmax(measured)
    kl: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(-1)
    return np.maximum(kl, 0)


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(-1, keepdims=True))
    return wide
