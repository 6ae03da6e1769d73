"""How often an expert would be found in a cache of each size. Knows arrays only.

Shapes: L layers, T tokens, k experts a token, E experts a layer; n = T k uses of a layer's experts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rates = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Hit rates [E] of caches that hold 1, 2, ..., E experts of each layer; mean over layers."""

    hottest: Rates
    """The experts used most in the tokens before, never exchanged."""

    best: Rates
    """Of every cache of that size, exchanging as it likes and knowing what comes: no cache finds
    more. (The hottest of these very tokens would be the best that is never exchanged; that one can
    still be beaten.)"""

    uniform: Rates
    """Any cache where every expert is as likely as another: its share of the experts."""


def curves(before: NDArray[np.int32], after: NDArray[np.int32], experts: int) -> Curves:
    """before [L, T1, k] fills the cache of the hottest; all are tried on after [L, T2, k]."""
    return Curves(
        hottest=hottest(before, after, experts),
        best=best(after, experts),
        uniform=np.arange(1, experts + 1) / experts,
    )


def hottest(before: NDArray[np.int32], after: NDArray[np.int32], experts: int) -> Rates:
    """[E]: the share of uses that meet the experts used most before, ties to the lowest index."""
    rates = np.zeros(experts)
    for learnt, tried in zip(before, after, strict=True):
        counts = np.bincount(learnt.ravel(), minlength=experts)
        ranks = np.empty(experts, np.int64)
        ranks[np.argsort(-counts, kind="stable")] = np.arange(experts)
        met = np.bincount(ranks[tried.ravel()], minlength=experts)
        rates += met.cumsum() / tried.size
    return rates / len(after)


def best(ids: NDArray[np.int32], experts: int) -> Rates:
    """[E]: what a cache finds that always drops the expert needed last (Belady, 1966).

    It begins full of those needed first, and an expert that is needed later than all it holds is
    used and not kept. Every size is counted in one pass over the uses, as a stack (Mattson et al.,
    1970): the experts in an order whose first c are what a cache of c holds. An expert is known by
    when it is needed next.
    """
    layers = len(ids)
    uses = ids.reshape(layers, -1)
    count = uses.shape[1]
    stack, following = _first_uses(uses, experts), _next_uses(uses, experts)
    found = np.zeros((layers, experts), np.int64)
    places, rows = np.arange(experts), np.arange(layers)
    for now in range(count):
        depth = np.argmax(stack == now, axis=1)
        found[rows, depth] += 1
        # Caches smaller than this depth missed. Each takes the expert in and drops the latest of
        # what it then has: what one drops, the next larger may keep in the place of its own latest.
        again = following[:, now]
        stack[rows, depth] = np.iinfo(stack.dtype).max
        carried = np.maximum.accumulate(np.column_stack([again, stack[:, :-1]]), axis=1)
        above = places <= depth[:, None]
        np.copyto(stack, np.minimum(stack, carried), where=above)
    return np.asarray((found.cumsum(axis=1) / count).mean(axis=0))


def _first_uses(uses: NDArray[np.int32], experts: int) -> NDArray[np.int32]:
    """[L, E]: when each expert is needed first, ascending; never is after all uses."""
    layers, count = uses.shape
    first = np.broadcast_to(count + np.arange(experts, dtype=np.int32), (layers, experts)).copy()
    for layer, used in zip(first, uses, strict=True):
        which, when = np.unique(used, return_index=True)
        layer[which] = when
    return np.sort(first, axis=1)


def _next_uses(uses: NDArray[np.int32], experts: int) -> NDArray[np.int32]:
    """[L, n]: when the same expert is needed again; never is after all uses, each its own."""
    layers, count = uses.shape
    order = np.argsort(uses, axis=1, kind="stable")
    by_expert = np.take_along_axis(uses, order, axis=1)
    after = np.empty((layers, count), np.int64)
    after[:, :-1] = np.where(
        by_expert[:, 1:] == by_expert[:, :-1], order[:, 1:], count + by_expert[:, :-1]
    )
    after[:, -1] = count + by_expert[:, -1]
    out = np.empty((layers, count), np.int32)
    np.put_along_axis(out, order, after.astype(np.int32), axis=1)
    return out
