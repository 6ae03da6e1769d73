"""Which experts tokens went to, and the figures drawn from that. Knows arrays only.

Shapes: L layers with experts, T tokens one after another, k experts a token, E experts a layer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.evaluate.routing_cache import Curves, curves

Ids = NDArray[np.int32]
Counts = NDArray[np.int64]

LEAST = 2
"""Tokens that figures need: a cache is filled by one half of them and tried on the other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Every token's experts, prompts end to end."""

    ids: Ids
    """[L, T, k], ascending in each row."""

    experts: int
    layers: tuple[int, ...]
    """[L]: the number that each of them has in the model, dense ones counted."""

    @property
    def tokens(self) -> int:
        return int(self.ids.shape[1])

    @property
    def top_k(self) -> int:
        return int(self.ids.shape[2])


@dataclass(frozen=True, kw_only=True, slots=True)
class Distinct:
    """How many experts of a layer `tokens` tokens touch together, on average over layers."""

    tokens: int
    measured: float
    uniform: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    trace: Trace
    counts: Counts
    """[L, E]: tokens that went to each expert."""

    imbalance: NDArray[np.float64]
    """[L]: the busiest expert's tokens over the mean; 1 is even, E / k the worst."""

    distinct: list[Distinct]
    cache: Curves


def figures(trace: Trace) -> Figures:
    """All figures of a trace of at least LEAST tokens."""
    assert trace.tokens >= LEAST, "a trace of one token says nothing"
    counts = usage(trace)
    half = trace.tokens // 2
    return Figures(
        trace=trace,
        counts=counts,
        imbalance=counts.max(1) / counts.mean(1),
        distinct=distinct(trace),
        cache=curves(trace.ids[:, :half], trace.ids[:, half:], trace.experts),
    )


def usage(trace: Trace) -> Counts:
    """[L, E]: how many tokens went to each expert of each layer."""
    return np.stack(
        [np.bincount(layer.ravel(), minlength=trace.experts) for layer in trace.ids]
    ).astype(np.int64)


def distinct(trace: Trace) -> list[Distinct]:
    """For 1, 2, 4, ... consecutive tokens, as many as the trace has."""
    sizes = [1 << power for power in range(trace.tokens.bit_length())]
    return [
        Distinct(
            tokens=size,
            measured=touched(trace.ids, size),
            uniform=expected(trace.experts, trace.top_k, size),
        )
        for size in sizes
    ]


def touched(ids: Ids, size: int) -> float:
    """Distinct experts in runs of `size` tokens, one run after another: the mean of all runs."""
    layers, tokens, top_k = ids.shape
    runs = tokens // size
    together = np.sort(ids[:, : runs * size].reshape(layers, runs, size * top_k), axis=2)
    changes = np.count_nonzero(np.diff(together, axis=2), axis=2)
    return float((changes + 1).mean())


def expected(experts: int, top_k: int, tokens: int) -> float:
    """Distinct experts that tokens touch if each takes any top_k: E (1 - (1 - k/E)^T)."""
    return experts * (1 - (1 - top_k / experts) ** tokens)
