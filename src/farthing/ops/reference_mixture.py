"""Routing and experts on arrays: who takes which token, and what they make of it.

Shapes: T tokens, E experts, k experts a token, H model width, I inner width of an expert.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from array_api_compat import array_namespace

from farthing.ops.mixture import SILU, Activation, Bank, Router, Score
from farthing.ops.reference_linear import linear

LEAST_SUM = 1e-20
"""Added to the sum that weights are divided by (DeepSeek-V3): all scores may be zero."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Experts of each token, ids [T, k] ascending in each row, and their weights [T, k]."""

    ids: Any
    weights: Any


def route(
    logits: Any,
    router: Router,
    correction: Any = None,
    *,
    largest: Callable[[Any, int], Any] | None = None,
) -> Routed:
    """`largest` finds the indices [T, k] of a row's largest, in any order; ours is slow."""
    xp = array_namespace(logits)
    scores = _scores(logits, router.score)
    worth = scores if correction is None else scores + correction
    if router.groups > 1:
        worth = _in_best_groups(worth, router)
    ids = xp.sort((largest or _largest)(worth, router.top_k), axis=-1)
    weights = xp.take_along_axis(scores, ids, axis=-1)
    if router.score == "softmax_chosen":
        weights = _softmax(weights)
    if router.normalise:
        weights = weights / (xp.sum(weights, axis=-1, keepdims=True) + LEAST_SUM)
    return Routed(ids, weights * router.scale)


def experts(
    x: Any,
    routed: Routed,
    bank: Bank,
    *,
    activation: Activation = SILU,
    shared: Bank | None = None,
    gate: Any = None,
) -> Any:
    xp = array_namespace(x)
    tokens, top_k = routed.ids.shape
    flat = xp.reshape(routed.ids, (-1,))
    order = xp.argsort(flat, stable=True)  # pairs of a token and an expert, expert by expert
    inputs = xp.take(x, order // top_k, axis=0)
    results = xp.concat(
        [_mlp(inputs[mine, :], _one(bank, e), activation) for e, mine in _runs(flat, bank)]
    )
    results = xp.take(results, xp.argsort(order), axis=0)
    results = xp.reshape(results, (tokens, top_k, x.shape[1]))
    total = xp.zeros_like(x)
    for i in range(top_k):
        total = total + routed.weights[:, i, None] * results[:, i, :]
    if shared is None:
        return total
    answer = _mlp(x, shared, activation)
    return total + (answer if gate is None else sigmoid(gate) * answer)


def gated(gate: Any, up: Any, activation: Activation = SILU) -> Any:
    """What lies between the products of a gated MLP; see Activation."""
    xp = array_namespace(gate)
    if activation.limit < inf:
        gate = xp.clip(gate, max=activation.limit)
        up = xp.clip(up, -activation.limit, activation.limit)
    return gate * sigmoid(activation.sharpness * gate) * (up + activation.shift)


def sigmoid(x: Any) -> Any:
    """exp(min(x, 0)) / (exp(min(x, 0)) + exp(-max(x, 0))): no exponent is ever positive.

    Unlike forms with abs, it has the right slope at zero, where a router may begin its training.
    """
    xp = array_namespace(x)
    low = xp.minimum(x, xp.zeros_like(x))
    return xp.exp(low) / (xp.exp(low) + xp.exp(low - x))


def _scores(logits: Any, score: Score) -> Any:
    if score == "sigmoid":
        return sigmoid(logits)
    return _softmax(logits) if score == "softmax" else logits


def _softmax(x: Any) -> Any:
    xp = array_namespace(x)
    weights = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def _largest(worth: Any, count: int) -> Any:
    """Indices of the `count` largest of each row; of equals the first."""
    return array_namespace(worth).argsort(-worth, axis=-1, stable=True)[..., :count]


def _in_best_groups(worth: Any, router: Router) -> Any:
    """Experts outside a token's best groups are worth -inf."""
    xp = array_namespace(worth)
    parts = xp.reshape(worth, (worth.shape[0], router.groups, -1))
    best = xp.sort(parts, axis=-1, descending=True)
    value = best[..., 0] if router.group_by == "max" else best[..., 0] + best[..., 1]
    chosen = _largest(value, router.top_groups)[:, :, None] == xp.arange(router.groups)
    inside = xp.any(chosen, axis=1)[:, :, None]
    parts = xp.where(inside, parts, xp.full_like(parts, -xp.inf))
    return xp.reshape(parts, worth.shape)


def _runs(flat: Any, bank: Bank) -> Iterator[tuple[int, slice]]:
    """Each expert that has tokens, and where its pairs lie once they are sorted."""
    xp = array_namespace(flat)
    start = 0
    for expert in range(bank.gate.shape[0]):
        stop = start + int(xp.count_nonzero(flat == expert))
        if stop > start:
            yield expert, slice(start, stop)
        start = stop


def _one(bank: Bank, expert: int) -> Bank:
    def of(stack: Any) -> Any:
        return None if stack is None else stack[expert]

    return Bank(
        gate=of(bank.gate),
        up=of(bank.up),
        down=of(bank.down),
        gate_bias=of(bank.gate_bias),
        up_bias=of(bank.up_bias),
        down_bias=of(bank.down_bias),
    )


def _mlp(x: Any, bank: Bank, activation: Activation) -> Any:
    """[T, H] -> [T, H] by one gated MLP."""
    gate, up = linear(x, bank.gate, bank.gate_bias), linear(x, bank.up, bank.up_bias)
    return linear(gated(gate, up, activation), bank.down, bank.down_bias)
