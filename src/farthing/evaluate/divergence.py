"""How far one model's next-token distributions lie from another's. Knows arrays only.

Shapes: T tokens, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError

CHUNK = 64
"""Rows taken at a time: a vocabulary of 150,000 then needs some 80 MB a copy in fp64."""

Logits = NDArray[np.floating]
Floats = NDArray[np.float64]
Ids = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """KL divergences in nats, over tokens; `same_top` is the share with the same likeliest."""

    tokens: int
    mean: float
    median: float
    p99: float
    largest: float
    same_top: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What is kept of each token once its logits are gone: arrays [T]."""

    kl: Floats
    """KL(reference || measured) of what comes after it, in nats."""

    top: Ids
    """The likeliest that the measured model sees after it; ties go to the lowest id."""

    reference_top: Ids
    confidence: Floats
    """The reference's probability of its own likeliest."""

    measured_confidence: Floats
    """The measured model's of its own."""

    surprise: Floats
    """-log of the measured probability of the token that did follow, in nats."""

    reference_surprise: Floats

    @property
    def same(self) -> NDArray[np.bool_]:
        return np.asarray(self.top == self.reference_top)

    def __len__(self) -> int:
        return len(self.kl)

    @classmethod
    def joined(cls, parts: Sequence["Tokens"]) -> "Tokens":
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def tokens(reference: Logits, measured: Sequence[Logits], following: Ids) -> list[Tokens]:
    """The figures of every token [T] by logits [T, V], for each of the measured.

    `following` [T] is the token that came after each. What the reference says is worked out once.
    Raises InputError if the shapes differ, if there is nothing to compare, or at a logit that is
    not finite.
    """
    for one in measured:
        _alike(reference, one)
    if following.shape != reference.shape[:1]:
        raise InputError(f"{len(following)} tokens follow {len(reference)}; expected as many")
    parts: list[list[Tokens]] = [[] for _ in measured]
    for at in range(0, len(reference), CHUNK):
        rows = slice(at, at + CHUNK)
        p = _finite(log_softmax(reference[rows]), at, "the reference")
        for mine, one in zip(parts, measured, strict=True):
            q = _finite(log_softmax(one[rows]), at, "the measured model")
            mine.append(_compared(p, q, following[rows]))
    return [Tokens.joined(mine) for mine in parts]


def divergence(reference: Logits, measured: Logits) -> Divergence:
    """KL(reference || measured) of logits [T, V], each row a distribution.

    Raises InputError as `tokens` does.
    """
    _alike(reference, measured)
    return summary(tokens(reference, [measured], np.zeros(len(reference), np.int32))[0])


def summary(of: Tokens) -> Divergence:
    return Divergence(
        tokens=len(of),
        mean=float(of.kl.mean()),
        median=float(np.median(of.kl)),
        p99=float(np.percentile(of.kl, 99)),
        largest=float(of.kl.max()),
        same_top=float(of.same.mean()),
    )


def log_softmax(logits: Logits) -> Floats:
    """Of each row [V], in fp64. Rows that are not finite give rows that are not."""
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        wide -= wide.max(-1, keepdims=True)
        wide -= np.log(np.exp(wide).sum(-1, keepdims=True))
    return wide


def _compared(p: Floats, q: Floats, following: Ids) -> Tokens:
    """Of log-probabilities [t, V]. KL is never below zero, which only rounding could bring about;
    equal distributions give exactly zero."""
    rows = np.arange(len(p))
    top, reference_top = q.argmax(-1), p.argmax(-1)
    return Tokens(
        kl=np.maximum((np.exp(p) * (p - q)).sum(-1), 0),
        top=top.astype(np.int32),
        reference_top=reference_top.astype(np.int32),
        confidence=np.exp(p[rows, reference_top]),
        measured_confidence=np.exp(q[rows, top]),
        surprise=-q[rows, following],
        reference_surprise=-p[rows, following],
    )


def _finite(logs: Floats, at: int, whose: str) -> Floats:
    wrong = ~np.isfinite(logs).all(-1)
    if wrong.any():
        raise InputError(
            f"{whose} gives NaN or infinite logits after token {at + int(wrong.argmax())} of a"
            " sequence; its weights are damaged or out of range: pull or make it again"
        )
    return logs


def _alike(reference: Logits, measured: Logits) -> None:
    if reference.shape != measured.shape or reference.ndim != 2 or not reference.size:
        raise InputError(
            f"logits of {reference.shape} against {measured.shape};"
            " expected two arrays [tokens, vocabulary] of one shape, not empty"
        )
