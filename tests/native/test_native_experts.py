"""Experts against the reference: gathering, routing, biases, activations, shared banks, forms.

Both sides round what stands between an expert's products to codes; where the reference's value is
so near an edge that fp32 may have it on either side, that code may be the next one.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from native_experts import Mixture, Native
from numpy.typing import NDArray
from toy_mixture import matrix
from toy_native import FORMS

from farthing.ops.mixture import SILU, Activation, Bank, Router
from farthing.weight import E2M1, Form

Floats = NDArray[np.float32]
ALL_FORMS = FORMS | {"e2m1": E2M1}
COUNTS = [1, 2, 7, 64, 513]
OSS = Activation(sharpness=1.702, shift=1.0, limit=7.0)
ROUTER = Router(experts=12, top_k=3, normalise=True)


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.standard_normal(shape).astype(np.float32)


def bank(
    rng: np.random.Generator, forms: tuple[Form, Form], inner: int, width: int, *count: int
) -> Bank:
    """With biases. `forms` of gate and up, and of down; `count` of a stack, or nothing."""

    def of(form: Form, n: int, k: int) -> Any:
        made = [matrix(rng, form, n, k, 0.15) for _ in range(*count or (1,))]
        return made if count else made[0]

    return Bank(
        gate=of(forms[0], inner, width),
        up=of(forms[0], inner, width),
        down=of(forms[1], width, inner),
        gate_bias=normal(rng, *count, inner),
        up_bias=normal(rng, *count, inner),
        down_bias=normal(rng, *count, width),
    )


def plain(held: Bank) -> Bank:
    """The same without biases."""
    return Bank(gate=held.gate, up=held.up, down=held.down)


def logits_of(rng: np.random.Generator, pattern: str, router: Router, count: int) -> Floats:
    """[T, E] by which tokens go where the pattern says; all but "any" are for three a token."""
    logits = normal(rng, count, router.experts)
    if pattern == "any":
        return logits
    if pattern == "all to the same":
        tokens = np.tile([1, 5, 11], (count, 1))
    elif pattern == "each to another":
        tokens = (np.arange(count)[:, None] * 3 + np.arange(3)) % router.experts
    else:
        tokens = rng.permuted(np.tile([0, 4, 7, 8], (count, 1)), axis=1)[:, :3]
    np.put_along_axis(logits, tokens, np.take_along_axis(logits, tokens, 1) + 20, 1)
    return logits


@cache
def mixture(
    count: int = 64,
    form: str = "int4",
    down: str = "",
    inner: int = 40,
    width: int = 72,
    biased: bool = False,
    activation: Activation = SILU,
    shared: tuple[str, int] | None = None,
    gated: bool = False,
    router: Router = ROUTER,
    pattern: str = "any",
) -> Mixture:
    rng = np.random.default_rng(count + inner)
    made = bank(rng, (ALL_FORMS[form], ALL_FORMS[down or form]), inner, width, router.experts)
    beside = None
    if shared is not None:
        beside = bank(rng, (ALL_FORMS[shared[0]],) * 2, shared[1], width)
        beside = beside if biased else plain(beside)
    return Mixture(
        x=normal(rng, count, width),
        logits=logits_of(rng, pattern, router, count),
        router=router,
        bank=made if biased else plain(made),
        activation=activation,
        shared=beside,
        gate=normal(rng, count, 1) if gated else None,
    )


def assert_within(isa: str, m: Mixture) -> None:
    got = Native(isa, m).run(range(len(m.x)))
    far = np.abs(got.astype(np.float64) - m.expected)
    assert (far <= m.allowed).all(), f"{(far / m.allowed).max()} of what is allowed"
    assert np.median(m.allowed) < 0.01 * m.expected.std(), "anything would be allowed"


@pytest.mark.parametrize("pattern", ["any", "all to the same", "each to another", "most unused"])
@pytest.mark.parametrize("count", COUNTS)
def test_experts_gather_their_tokens(isa: str, count: int, pattern: str) -> None:
    m = mixture(count, pattern=pattern)
    assert_within(isa, m)
    used = set(m.routed.ids.ravel().tolist())
    most = {"all to the same": 3, "most unused": 4}.get(pattern, 12)
    assert len(used) <= most and (len(used) == most or count < 64)


@pytest.mark.parametrize("form", ALL_FORMS)
def test_every_form(isa: str, form: str) -> None:
    assert_within(isa, mixture(33, form=form, inner=72, width=100))


@pytest.mark.parametrize("forms", [("int4", "q6_k"), ("q4_k", "bf16"), ("bf16", "int8")])
def test_a_bank_may_have_two_forms(isa: str, forms: tuple[str, str]) -> None:
    assert_within(isa, mixture(form=forms[0], down=forms[1]))


@pytest.mark.parametrize("form", ["int4-min", "bf16"])
@pytest.mark.parametrize("inner", [1, 16, 31, 33, 96, 100, 200, 300])
def test_any_inner_width(isa: str, inner: int, form: str) -> None:
    assert_within(isa, mixture(20, inner=inner, form=form, biased=True))


@pytest.mark.parametrize("width", [8, 50, 130])
def test_any_width(isa: str, width: int) -> None:
    assert_within(isa, mixture(20, width=width, biased=True, shared=("int8", 24)))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(
    "activation",
    [OSS, Activation(limit=0.3), Activation(sharpness=5.0, shift=-0.5), Activation(shift=1.0)],
)
def test_every_activation(isa: str, activation: Activation, biased: bool) -> None:
    assert_within(isa, mixture(activation=activation, biased=biased, form="e2m1"))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("shared", [("int4", 40), ("int4", 200), ("bf16", 100), ("int8", 8)])
@pytest.mark.parametrize("count", [1, 7, 70])
def test_a_shared_bank(isa: str, count: int, shared: tuple[str, int], gated: bool) -> None:
    assert_within(isa, mixture(count, shared=shared, gated=gated, biased=count == 7))


@pytest.mark.parametrize(
    "router",
    [
        Router(experts=1, top_k=1),
        Router(experts=3, top_k=3, score="sigmoid"),
        Router(experts=100, top_k=8),
        Router(experts=16, top_k=4, groups=4, top_groups=2, scale=16.0),
    ],
)
def test_any_number_of_experts(isa: str, router: Router) -> None:
    assert_within(isa, mixture(40, router=router, width=40))


@pytest.mark.parametrize("m", [{}, {"biased": True, "form": "e2m1", "activation": OSS}])
@pytest.mark.parametrize("more", [{}, {"shared": ("bf16", 100), "gated": True}])
def test_a_token_is_the_same_in_any_company(isa: str, m: Any, more: Any) -> None:
    native = Native(isa, mixture(200, **m, **more))
    whole, rng = native.run(range(200)), np.random.default_rng(3)
    for count in (1, 1, 2, 5, 8, 9, 40, 150):
        rows = rng.permutation(200)[:count]
        np.testing.assert_array_equal(native.run(rows), whole[rows], err_msg=str(count))
    np.testing.assert_array_equal(native.run([7] * 30), whole[[7] * 30])


@pytest.mark.parametrize("pattern", ["any", "all to the same", "each to another"])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_share_experts_without_a_trace(isa: str, threads: int, pattern: str) -> None:
    m = mixture(513, inner=200, shared=("int4", 120), gated=True, pattern=pattern)
    one, many = Native(isa, m), Native(isa, m, threads=threads)
    for count in COUNTS:
        np.testing.assert_array_equal(many.run(range(count)), one.run(range(count)))


def test_mixtures_of_other_shapes_leave_each_other_alone(isa: str) -> None:
    """What stands between the products is kept in one place, whatever its width and form."""
    kinds: list[dict[str, Any]] = [
        {"form": "int8", "inner": 200, "shared": ("int8", 90)},
        {"form": "bf16", "inner": 20, "shared": ("bf16", 40)},
        {"form": "int4", "inner": 130},
        {"form": "bf16", "inner": 7},
    ]
    held = [mixture(30, **kind) for kind in kinds]
    together = Native(isa, *held)
    for _ in range(2):
        for at, m in enumerate(held):
            alone = Native(isa, m).run(range(30))
            np.testing.assert_array_equal(together.run(range(30), at), alone)


ROUTERS = {
    "softmax": Router(experts=40, top_k=4),
    "normalised": Router(experts=40, top_k=4, normalise=True),
    "of the chosen": Router(experts=40, top_k=4, score="softmax_chosen"),
    "sigmoid": Router(experts=40, top_k=6, score="sigmoid", normalise=True, scale=2.5),
    "best groups": Router(experts=40, top_k=4, groups=5, top_groups=2, scale=16.0),
    "groups by two": Router(
        experts=40, top_k=5, score="sigmoid", groups=8, top_groups=3, group_by="two"
    ),
    "all groups": Router(experts=40, top_k=5, groups=5, top_groups=5, group_by="two"),
    "one": Router(experts=40, top_k=1),
    "all": Router(experts=17, top_k=17, normalise=True),
}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("name", ROUTERS)
def test_routes_are_the_references(isa: str, name: str, corrected: bool, ties: bool) -> None:
    """Ties of many experts go to the lowest, in a group and among groups."""
    r, rng = ROUTERS[name], np.random.default_rng(8)
    logits = 3 * normal(rng, 300, r.experts)
    correction = 0.3 * normal(rng, r.experts) if corrected else None
    if ties:
        # not symmetric about zero, for sigmoids of opposites always add up to one
        logits = (rng.integers(-3, 4, logits.shape) * 0.5 + 0.125).astype(np.float32)
        logits[::2] = np.repeat(logits[::2, :1], r.experts, 1)
        correction = None if correction is None else np.float32(0.25) * (correction > 0)
    small = plain(bank(rng, (FORMS["int8"],) * 2, 8, 8, r.experts))
    m = Mixture(x=normal(rng, 300, 8), logits=logits, router=r, bank=small, correction=correction)
    native, expected = Native(isa, m), m.routed
    native.run(range(300))
    got = native.routed()
    np.testing.assert_array_equal(got.ids, expected.ids)
    np.testing.assert_allclose(got.weights, expected.weights, rtol=2e-6)


def test_equal_logits_go_to_the_first_experts(isa: str) -> None:
    m = mixture(9, router=Router(experts=30, top_k=4))
    m = Mixture(x=m.x, logits=np.ones_like(m.logits), router=m.router, bank=m.bank)
    native = Native(isa, m)
    native.run(range(9))
    np.testing.assert_array_equal(native.routed().ids, [[0, 1, 2, 3]] * 9)
