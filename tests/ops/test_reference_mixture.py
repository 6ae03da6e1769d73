"""Routing and experts by their definitions, token by token, on NumPy arrays and torch tensors."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from farthing import weight
from farthing.ops import reference
from farthing.ops.mixture import SILU, Activation, Bank, Router
from farthing.ops.reference_linear import bind, quantize
from farthing.ops.reference_mixture import Routed

RNG = np.random.default_rng(17)
KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
H, INNER, E = 24, 40, 6


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def slow_route(logits: Any, r: Router, correction: Any) -> tuple[list[int], list[float]]:
    """One token, in fp64, by lists: the definition as a person would write it down."""
    z = logits.astype(np.float64)
    scores = 1 / (1 + np.exp(-z)) if r.score == "sigmoid" else np.exp(z) / np.exp(z).sum()
    worth = (z if r.score == "softmax_chosen" else scores) + correction
    size = r.experts // r.groups
    members = [list(range(g * size, g * size + size)) for g in range(r.groups)]
    best = 1 if r.group_by == "max" else 2
    counts = [sum(sorted((worth[e] for e in m), reverse=True)[:best]) for m in members]
    groups = sorted(range(r.groups), key=lambda g: (-counts[g], g))[: r.top_groups]
    allowed = [e for g in groups for e in members[g]]
    ids = sorted(sorted(allowed, key=lambda e: (-worth[e], e))[: r.top_k])
    taken = [scores[e] for e in ids]
    if r.normalise or r.score == "softmax_chosen":
        taken = [s / sum(taken) for s in taken]
    return ids, [s * r.scale for s in taken]


ROUTERS = {
    "softmax": Router(experts=16, top_k=4),
    "normalised": Router(experts=16, top_k=4, normalise=True),
    "of the chosen": Router(experts=16, top_k=4, score="softmax_chosen"),
    "sigmoid": Router(experts=16, top_k=3, score="sigmoid", normalise=True, scale=2.5),
    "best groups": Router(experts=16, top_k=4, groups=4, top_groups=2, scale=16.0),
    "groups by two": Router(
        experts=16, top_k=5, score="sigmoid", groups=4, top_groups=2, group_by="two"
    ),
    "one": Router(experts=16, top_k=1),
    "all": Router(experts=16, top_k=16, normalise=True),
}


@KINDS
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("name", ROUTERS)
def test_routes_by_their_definition(kind: Any, name: str, corrected: bool) -> None:
    router, logits = ROUTERS[name], normal(50, 16)
    correction = normal(16) if corrected else None
    routed = reference.route(kind(logits), router, None if correction is None else kind(correction))
    assert isinstance(routed.weights, type(kind(logits)))
    for i, row in enumerate(logits):
        ids, weights = slow_route(row, router, 0 if correction is None else correction)
        assert routed.ids[i].tolist() == ids
        np.testing.assert_allclose(routed.weights[i], weights, rtol=1e-5)


@KINDS
@pytest.mark.parametrize("name", ROUTERS)
def test_ties_go_to_the_lowest(kind: Any, name: str) -> None:
    """Among experts, and among groups: with nothing to choose by, the first are chosen."""
    router = ROUTERS[name]
    routed = reference.route(kind(np.zeros((3, 16), np.float32)), router)
    assert routed.ids.tolist() == [list(range(router.top_k))] * 3


@KINDS
def test_scores_that_are_all_zero_do_not_divide(kind: Any) -> None:
    router = Router(experts=4, top_k=2, score="sigmoid", normalise=True)
    routed = reference.route(kind(np.full((1, 4), -1e4, np.float32)), router)
    assert routed.weights.tolist() == [[0, 0]]


def slow_experts(x: Any, ids: Any, weights: Any, bank: Any, a: Activation) -> Any:
    """Token by token, in fp64. `bank` maps names to arrays."""
    b = {name: array.astype(np.float64) for name, array in bank.items()}
    out = np.zeros(x.shape)
    for t, token in enumerate(x.astype(np.float64)):
        for e, share in zip(ids[t], weights[t], strict=True):
            gate = np.minimum(b["gate"][e] @ token + b["gate_bias"][e], a.limit)
            up = np.clip(b["up"][e] @ token + b["up_bias"][e], -a.limit, a.limit)
            inner = (up + a.shift) * gate / (1 + np.exp(-a.sharpness * gate))
            out[t] += share * (b["down"][e] @ inner + b["down_bias"][e])
    return out


def a_bank() -> dict[str, Any]:
    return {
        "gate": normal(E, INNER, H),
        "up": normal(E, INNER, H),
        "down": normal(E, H, INNER),
        "gate_bias": normal(E, INNER),
        "up_bias": normal(E, INNER),
        "down_bias": normal(E, H),
    }


def spread(tokens: int, how: str) -> NDArray[np.int64]:
    """Two experts a token: any, all the same two, or each another pair than its neighbours."""
    if how == "one for all":
        return np.tile([2, 4], (tokens, 1))
    if how == "in turn":
        return np.sort([[t % E, (t + 1) % E] for t in range(tokens)])
    return np.sort([RNG.permutation(E - 1)[:2] for _ in range(tokens)])


@KINDS
@pytest.mark.parametrize("activation", [SILU, Activation(sharpness=1.702, shift=1.0, limit=2.0)])
@pytest.mark.parametrize("how", ["any", "one for all", "in turn"])
@pytest.mark.parametrize("tokens", [1, 2, 7, 64, 513])
def test_experts_by_their_definition(
    kind: Any, tokens: int, how: str, activation: Activation
) -> None:
    """The last expert of "any" is never used."""
    bank, x, ids = a_bank(), normal(tokens, H), spread(tokens, how)
    weights = RNG.uniform(size=ids.shape).astype(np.float32)
    expected = slow_experts(x, ids, weights, bank, activation)
    arrays: Any = {name: kind(array) for name, array in bank.items()}
    routed = Routed(kind(ids), kind(weights))
    got = reference.experts(kind(x), routed, Bank(**arrays), activation=activation)
    assert isinstance(got, type(kind(x)))
    np.testing.assert_allclose(got, expected, atol=2e-4 * np.abs(expected).max())


@KINDS
@pytest.mark.parametrize("gated", [False, True])
def test_the_shared_bank_is_added_to_all(kind: Any, gated: bool) -> None:
    bank, x, ids = a_bank(), normal(9, H), spread(9, "any")
    zero = {name: np.zeros_like(array) for name, array in bank.items()}
    weights, gate = np.ones(ids.shape, np.float32), normal(9, 1)
    alone = slow_experts(x, ids, weights, bank, SILU)
    one = {name: array[3:4] for name, array in (bank | zero_biases(zero)).items()}
    shared = slow_experts(x, np.zeros((9, 1), int), np.ones((9, 1)), one, SILU)
    shared *= 1 / (1 + np.exp(-gate)) if gated else 1
    arrays: Any = {name: kind(array) for name, array in bank.items()}
    got = reference.experts(
        kind(x),
        Routed(kind(ids), kind(weights)),
        Bank(**arrays),
        shared=Bank(gate=arrays["gate"][3], up=arrays["up"][3], down=arrays["down"][3]),
        gate=kind(gate) if gated else None,
    )
    np.testing.assert_allclose(got, alone + shared, atol=1e-2, rtol=1e-4)


def zero_biases(zero: dict[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in zero.items() if name.endswith("bias")}


def test_int8_experts_round_what_they_are_given_and_what_lies_between() -> None:
    """Per 32 of the width, as linear: the same as rounding by hand and multiplying in fp32."""
    form = weight.Form(bits=8, group=32, scale="f32", offset="none")

    def matrix(n: int, k: int) -> weight.Matrix:
        codes = RNG.integers(0, 256, (n, k)).astype(np.uint8)
        scale = RNG.uniform(0.001, 0.002, (n, -(-k // 32))).astype(np.float32)
        return weight.Matrix(form=form, codes=codes, scale=scale)

    def rounded(x: Any) -> Any:
        codes, scales = quantize(x.astype(np.float32))
        return codes * np.repeat(scales, 32, 1)[:, : x.shape[1]]

    shapes = {"gate": (INNER, H), "up": (INNER, H), "down": (H, INNER)}
    lists = {name: [matrix(*shape) for _ in range(E)] for name, shape in shapes.items()}
    bank: Any = bind(lists, "int8")
    assert bank["gate"].shape == (E, INNER, H)
    x = normal(1, H)
    one = {name: matrices[2].dequantize() for name, matrices in lists.items()}
    gate, up = rounded(x) @ one["gate"].T, rounded(x) @ one["up"].T
    expected = 0.5 * (rounded(gate / (1 + np.exp(-gate)) * up) @ one["down"].T)
    routed = Routed(np.array([[2]]), np.array([[0.5]], np.float32))
    np.testing.assert_allclose(reference.experts(x, routed, Bank(**bank)), expected, rtol=1e-4)


def test_gradients_reach_every_weight_that_was_used() -> None:
    """Also from a router of zeros, where training begins; a bank's unused experts get zero."""
    x = torch.from_numpy(normal(8, H))
    bank: Any = {name: torch.from_numpy(array).requires_grad_() for name, array in a_bank().items()}
    router = torch.zeros(E, H, requires_grad=True)
    logits = reference.linear(x, router, precise=True)
    routed = reference.route(logits, Router(experts=E, top_k=2, score="sigmoid"))
    reference.experts(x, routed, Bank(**bank)).square().sum().backward()
    assert router.grad is not None
    assert (router.grad[:2].abs().amax(1) > 0).all()
    assert (router.grad[2:] == 0).all()
    for name, parameter in bank.items():
        used = parameter.grad.reshape(E, -1).abs().amax(1) > 0
        assert used.tolist() == [True, True] + [False] * (E - 2), name
