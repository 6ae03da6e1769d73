"""What mixtures and latent attention refuse to be built of, and lost numbers that harm nobody."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_experts import Mixture, Native
from numpy.typing import NDArray
from one_op import OneOp
from test_native_experts import OSS, mixture
from toy_native import FORMS, matrix

from farthing.ops.mixture import Router, Score

Floats = NDArray[np.float32]
RNG = np.random.default_rng(0)
E, K, INNER, WIDTH = 6, 2, 24, 40


class Parts:
    """A program with all that a mixture needs, and slots that are too narrow for anything."""

    def __init__(self) -> None:
        op = self.op = OneOp("portable")
        self.native = op.native
        self.narrow, self.wide, self.routed = op.floats(1), op.floats(512), op.floats(2 * K)
        self.x = op.quantized(np.ones((4, WIDTH), np.float32))
        self.up, self.down = self.stack(E, INNER, WIDTH), self.stack(E, WIDTH, INNER)
        self.one, self.back = self.stack(1, INNER, WIDTH), self.stack(1, WIDTH, INNER)

    def stack(self, count: int, rows: int, columns: int, form: str = "int4") -> int:
        return self.op.stack([matrix(RNG, FORMS[form], rows, columns) for _ in range(count)])

    def route(self, **changes: Any) -> None:
        given = {
            "logits": self.wide,
            "experts": E,
            "top_k": K,
            "score": "softmax",
            "normalise": False,
            "scale": 1.0,
            "groups": 1,
            "top_groups": 1,
            "by_two": False,
            "correction": None,
            "out": self.routed,
        }
        assert not changes.keys() - given
        self.native.route(*(given | changes).values())

    def bank(self, **changes: Any) -> tuple[Any, ...]:
        given = {"in": self.x, "gate": self.up, "up": self.up, "down": self.down}
        given |= dict.fromkeys(("gate_bias", "up_bias", "down_bias"))
        assert not changes.keys() - given
        return tuple((given | changes).values())

    def experts(self, **changes: Any) -> None:
        given = {
            "routed": self.routed,
            "top_k": K,
            "width": WIDTH,
            "bank": self.bank(),
            "shared": None,
            "gate": None,
            "sharpness": 1.0,
            "shift": 0.0,
            "limit": 1.0,
            "out": self.wide,
        }
        assert not changes.keys() - given
        self.native.experts(*(given | changes).values())


def zeros(*shape: int) -> Floats:
    return np.zeros(shape, np.float32)


BAD: dict[str, Callable[[Parts], Any]] = {
    "no experts": lambda p: p.route(experts=0, top_k=0),
    "more chosen than there are": lambda p: p.route(top_k=7),
    "more experts than logits": lambda p: p.route(logits=p.narrow, experts=1 << 10),
    "experts without end": lambda p: p.route(experts=1 << 40),
    "an unknown score": lambda p: p.route(score="softplus"),
    "groups that do not divide": lambda p: p.route(groups=4),
    "more groups than there are": lambda p: p.route(groups=2, top_groups=3),
    "groups too small": lambda p: p.route(groups=6, top_groups=1),
    "a correction of others": lambda p: p.route(correction=zeros(5)),
    "no room for ids and weights": lambda p: p.route(top_k=6, experts=6, out=p.routed + 1000),
    "a routed slot too narrow": lambda p: p.experts(top_k=300),
    "another width": lambda p: p.experts(width=WIDTH + 1),
    "an out too narrow": lambda p: p.experts(out=p.narrow),
    "a gate for nobody": lambda p: p.experts(gate=p.wide),
    "no such gate": lambda p: p.experts(gate=99999, shared=p.bank(gate=p.one)),
    "an input too narrow": lambda p: p.experts(bank=p.bank(**{"in": p.narrow})),
    "no such weight": lambda p: p.experts(bank=p.bank(down=99999)),
    "up and down mixed": lambda p: p.experts(bank=p.bank(down=p.up)),
    "fewer experts in one stack": lambda p: p.experts(bank=p.bank(up=p.one)),
    "another form": lambda p: p.experts(bank=p.bank(up=p.stack(E, INNER, WIDTH, "bf16"))),
    "biases of others": lambda p: p.experts(bank=p.bank(gate_bias=zeros(E, INNER + 1))),
    "too few biases": lambda p: p.experts(bank=p.bank(down_bias=zeros(E - 1, WIDTH))),
    "many shared": lambda p: p.experts(shared=p.bank()),
    "a head's rows": lambda p: p.native.head_linear(p.x, p.stack(2, 24, 40), p.wide),
    "a head's input": lambda p: p.native.head_linear(p.x, p.stack(9, 16, 40), p.wide),
    "a head's output": lambda p: p.native.head_linear(p.wide, p.stack(2, 16, 40), p.narrow),
    "precise of int4": lambda p: p.native.linear(
        p.wide, True, [p.stack(1, 16, 40)], [p.wide], [None], [None]
    ),
    "a latent of odd width": lambda p: p.native.keep(p.wide, 0, 20),
    "a latent too wide": lambda p: p.native.keep(p.narrow, 0, 64),
    "heads in no groups": lambda p: p.native.attend_latent(p.wide, 0, 3, 2, 32, 16, 1.0, p.wide),
    "values past the latent": lambda p: p.native.attend_latent(
        p.wide, 0, 1, 1, 32, 48, 1.0, p.wide
    ),
    "values of odd width": lambda p: p.native.attend_latent(p.wide, 0, 1, 1, 32, 24, 1.0, p.wide),
    "queries too narrow": lambda p: p.native.attend_latent(p.narrow, 0, 4, 1, 32, 16, 1.0, p.wide),
    "a part of nothing": lambda p: p.native.slice(p.wide, 1, 32, 8, 8, p.wide),
    "a part past the head": lambda p: p.native.slice(p.wide, 1, 32, 8, 33, p.wide),
    "parts too wide": lambda p: p.native.slice(p.wide, 1 << 40, 32, 0, 8, p.wide),
    "joined too wide": lambda p: p.native.join(p.wide, p.wide, 4, 64, 65, p.wide),
    "scaled too wide": lambda p: p.native.scale(p.narrow, 2.0, 32, p.wide),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case: str) -> None:
    parts = Parts()
    with pytest.raises(ValueError, match=r"[a-z]"):
        BAD[case](parts)


def test_what_fits_is_taken() -> None:
    parts = Parts()
    parts.route()
    beside = parts.bank(gate=parts.one, up=parts.one, down=parts.back)
    parts.experts(shared=beside, gate=parts.wide)
    parts.native.finish(0)


@pytest.mark.parametrize("others", ["nobody's", "of another size"])
def test_experts_read_a_router_of_as_many(others: str) -> None:
    parts = Parts()
    if others == "of another size":
        parts.route(experts=E + 2)
    parts.experts()
    with pytest.raises(ValueError, match="router"):
        parts.native.finish(0)


def test_threads_meet_between_keeping_and_attending() -> None:
    parts = Parts()
    parts.native.keep(parts.wide, 0, 32)
    parts.native.attend_latent(parts.wide, 0, 2, 1, 32, 16, 1.0, parts.wide)
    with pytest.raises(ValueError, match="linear"):
        parts.native.finish(1 << 20)


class Poisoned(Native):
    """Tokens of `lost` have infinite inputs, logits and gates, which become NaN on the way."""

    def __init__(self, isa: str, m: Mixture, lost: list[int], threads: int = 1) -> None:
        op = OneOp(isa, max_tokens=len(m.x), threads=threads, max_context=len(m.x))
        give = op.input

        def poisoned(values: Floats, *, group: int = 16) -> int:
            width, huge = values.shape[1], np.zeros_like(values)
            huge[lost] = np.where(np.arange(width) % 3, 1e38, -1e38)
            slots = [give(values, group=group), give(huge, group=group)]
            for factor in (1e38, 1e38):
                slots.append(op.floats(width))
                op.native.scale(slots[-2], factor, width, slots[-1])
            slots.append(op.floats(width))
            op.native.add(slots[0], slots[-2], width, slots[-1])
            return slots[-1]

        op.input = poisoned
        self.op, self.mixtures = op, (m,)
        self.slots = [self._add(m)]


@pytest.mark.parametrize("more", [{}, {"activation": OSS, "biased": True, "form": "e2m1"}])
@pytest.mark.parametrize("threads", [1, 3])
def test_lost_tokens_harm_nobody(isa: str, threads: int, more: dict[str, Any]) -> None:
    m, lost = mixture(40, shared=("bf16", 50), gated=True, **more), [0, 5, 6, 39]
    clean, native = Native(isa, m), Poisoned(isa, m, lost, threads)
    kept = [t for t in range(40) if t not in lost]
    for rows in (list(range(40)), [5, 1, 2], [0, 39, 7]):
        whole, got = clean.run(rows), native.run(rows)
        mine = [i for i, row in enumerate(rows) if row in kept]
        np.testing.assert_array_equal(got[mine], whole[mine])
        others = [i for i, row in enumerate(rows) if row not in kept]
        assert not np.array_equal(got[others], whole[others]), "nothing was lost"


@pytest.mark.parametrize("score", ["softmax", "softmax_chosen", "sigmoid"])
def test_lost_logits_still_name_experts(isa: str, score: Score) -> None:
    router = Router(experts=12, top_k=3, score=score, normalise=True)
    m = mixture(40, router=router)
    native = Poisoned(isa, m, list(range(0, 40, 2)))
    native.run(range(40))
    ids = native.routed().ids
    assert (ids >= 0).all() and (ids < 12).all() and (np.diff(ids) > 0).all()
