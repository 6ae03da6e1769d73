"""What only a whole program shows: ops and slots that fit one by one, but not one another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_experts import Native
from one_op import OneOp
from test_native_experts import mixture

from farthing import weight

WIDTH, EXPERTS, K = 32, 4, 2
EYE = weight.dense(np.eye(WIDTH, dtype=np.float32))


class Program:
    """Slots of all kinds, and calls with what fits filled in."""

    def __init__(self) -> None:
        self.op = OneOp("portable", max_tokens=64, threads=2, max_context=128)
        self.native = self.op.native
        self.x = self.op.input(np.ones((4, WIDTH), np.float32), group=32)
        self.a, self.b, self.out = self.own(), self.own(), self.op.shared(WIDTH)
        self.local = self.native.slot(4 * WIDTH, False, True, False)
        self.wanted, self.other = (self.op.slot(4 * WIDTH, wanted=True) for _ in range(2))
        self.eye = self.op.weight(EYE)
        self.stack = self.op.stack([EYE] * EXPERTS)

    def own(self) -> int:
        return self.op.floats(WIDTH)

    def keep(self, layer: int = 0, width: int = WIDTH) -> None:
        self.native.keep(self.x, layer, width)

    def linear(self, out: int | None = None) -> None:
        to = self.out if out is None else out
        self.native.linear(self.x, True, [self.eye], [to], [None], [None])

    def latent(self, width: int = WIDTH) -> None:
        self.native.attend_latent(self.x, 0, 1, 1, width, 16, 1.0, self.out)

    def attend(self, q: int | None = None, out: int | None = None) -> None:
        q, to = self.x if q is None else q, self.out if out is None else out
        self.native.attend(q, self.x, self.x, 0, 1, 1, WIDTH, 1.0, 0, None, to)

    def add(self, x: int, out: int) -> None:
        self.native.add(x, x, WIDTH, out)

    def rows(self, out: int | None = None) -> None:
        self.native.rows(self.x, WIDTH, self.wanted if out is None else out)

    def route(self, logits: int | None = None, top_k: int = K) -> None:
        x = self.x if logits is None else logits
        self.native.route(x, EXPERTS, top_k, "softmax", False, 1.0, 1, 1, False, None, self.a)

    def experts(self, out: int | None = None) -> None:
        bank = (self.x, *[self.stack] * 3, *[None] * 3)
        to = self.out if out is None else out
        self.native.experts(self.a, K, WIDTH, bank, None, None, 1.0, 0.0, 1.0, to)

    def logits(self, x: int | None = None) -> None:
        self.native.logits(self.wanted if x is None else x, self.eye)


def all_of(*calls: Callable[[Program], Any]) -> Callable[[Program], None]:
    def make(p: Program) -> None:
        for call in calls:
            call(p)

    return make


BAD: dict[str, tuple[str, Callable[[Program], None]]] = {
    "latents of a layer that is none": (
        "layer",
        all_of(lambda p: p.keep(layer=7), Program.linear, Program.latent),
    ),
    "latents wider than the layer's": (
        "width",
        all_of(Program.keep, Program.linear, lambda p: p.latent(width=16)),
    ),
    "latents kept twice": ("twice", all_of(Program.keep, Program.keep)),
    "latents kept for nobody": ("nobody", all_of(Program.keep, Program.linear)),
    "latents never kept": ("kept", all_of(Program.linear, Program.latent)),
    "ids that something else was written over": (
        "router",
        all_of(Program.route, lambda p: p.add(p.x, p.a), Program.experts),
    ),
    "ids of another router in the same slot": (
        "router",
        all_of(Program.route, lambda p: p.route(top_k=1), Program.experts),
    ),
    "a stage's value, read in the next": (
        "stage",
        all_of(lambda p: p.add(p.x, p.local), Program.attend, lambda p: p.add(p.local, p.a)),
    ),
    "a stage's value, attended to": (
        "stage",
        all_of(lambda p: p.add(p.x, p.local), lambda p: p.attend(q=p.local)),
    ),
    "a value that nobody has written": ("stage", lambda p: p.add(p.local, p.a)),
    "attention to a slot of each thread": ("own", lambda p: p.attend(out=p.a)),
    "a linear to a slot of each thread": ("own", lambda p: p.linear(out=p.a)),
    "experts to a slot of each thread": (
        "own",
        all_of(Program.route, lambda p: p.experts(out=p.b)),
    ),
    "experts to a slot of one stage": (
        "stages",
        all_of(
            Program.route,
            lambda p: p.experts(out=p.native.slot(4 * WIDTH, False, False, False)),
        ),
    ),
    "tokens written to wanted rows": ("rows", lambda p: p.add(p.x, p.wanted)),
    "wanted rows that are no such": ("rows", lambda p: p.rows(out=p.a)),
    "tokens read behind the choice of rows": (
        "rows",
        all_of(Program.rows, lambda p: p.add(p.x, p.other)),
    ),
    "rows chosen twice": ("rows", all_of(Program.rows, lambda p: p.rows(out=p.other))),
    "routes of wanted rows": ("rows", all_of(Program.rows, lambda p: p.route(logits=p.wanted))),
    "taps of wanted rows": ("rows", all_of(Program.rows, lambda p: p.native.tap(p.wanted, WIDTH))),
    "latents of wanted rows": (
        "rows",
        all_of(Program.rows, lambda p: p.native.keep(p.wanted, 0, WIDTH)),
    ),
    "logits of all tokens": ("logits", lambda p: p.logits(p.x)),
    "two heads": ("logits", all_of(Program.rows, Program.logits, Program.logits)),
}


@pytest.mark.parametrize("case", BAD)
def test_ops_that_do_not_fit_one_another_are_refused(case: str) -> None:
    says, make = BAD[case]
    p = Program()
    make(p)
    with pytest.raises(ValueError, match=says):
        p.native.finish(1 << 20)


GOOD = {
    "latents": all_of(Program.keep, Program.linear, Program.latent),
    "experts": all_of(Program.route, Program.experts, Program.rows, Program.logits),
    "a value of one stage": all_of(
        lambda p: p.add(p.x, p.local), lambda p: p.add(p.local, p.a), Program.attend
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_fits_is_finished(case: str) -> None:
    p = Program()
    GOOD[case](p)
    p.native.finish(1 << 20)


def test_a_linear_needs_weights() -> None:
    p = Program()
    with pytest.raises(ValueError, match="no weights"):
        p.native.linear(p.x, False, [], [], [], [])


def test_a_program_that_could_not_be_finished_is_lost() -> None:
    p = Program()
    p.attend()
    for says in ("no room", "finished"):
        with pytest.raises(ValueError, match=says):
            p.native.finish(1)


def test_routes_that_do_not_fit_are_refused() -> None:
    native = Native("portable", mixture(6))
    good = np.tile(np.arange(native.mixtures[0].router.top_k, dtype=np.int32), (1, 6, 1))
    with pytest.raises(ValueError, match="finished"):
        native.op.native.send(good)
    native.run(range(6))
    program = native.op.native
    last = good[0, 0, -1]
    bad = {
        "another number of layers": np.concatenate([good, good]),
        "another number of experts": np.ascontiguousarray(good[:, :, :-1]),
        "one twice": np.where(good == last, last - 1, good),
        "not ascending": np.ascontiguousarray(good[:, :, ::-1]),
        "below zero": good - 1,
        "beyond the last": good + 10000,
    }
    for case, routes in bad.items():
        with pytest.raises(ValueError, match=r"[a-z]"):
            program.send(routes)
            pytest.fail(case)
    for kind in (good.astype(np.int64), good[0], "text"):
        with pytest.raises(TypeError):
            program.send(kind)
    program.send(good)
    with pytest.raises(ValueError, match="tokens"):
        native.run(range(5))


def test_routes_are_what_they_were_when_they_were_given() -> None:
    native = Native("portable", mixture(6))
    native.run(range(6))
    k, experts = native.mixtures[0].router.top_k, native.mixtures[0].router.experts
    routes = np.tile(np.arange(k, dtype=np.int32), (1, 6, 1))
    native.op.native.send(routes)
    given = native.run(range(6))
    routes += experts - k
    np.testing.assert_array_equal(native.run(range(6)), given)
    native.op.native.send(routes)
    assert not np.array_equal(native.run(range(6)), given)
