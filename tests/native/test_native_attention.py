"""Attention over pages against the reference, within a bound worked out from the inputs, and what
must change nothing: where pages lie, what they held, who else is in the step."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp

from farthing.ops import reference
from farthing.ops.reference_cache import LayerCache, Step

Floats = NDArray[np.float32]


class Attention:
    """One layer over the rows of q, k and v: token t is row t, whatever position it takes."""

    def __init__(
        self,
        isa: str,
        rows: int,
        *,
        width: int,
        kv_heads: int = 1,
        group: int = 1,
        window: int = 0,
        sinks: float | list[float] | None = None,
        threads: int = 1,
        size: float = 1.0,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.heads, self.kv_heads, self.width, self.window = (
            kv_heads * group,
            kv_heads,
            width,
            window,
        )
        self.scale = float(np.float32(width**-0.5))
        self.q = (rng.standard_normal((rows, self.heads * width)) * size).astype(np.float32)
        self.k, self.v = (
            rng.standard_normal((rows, kv_heads * width)).astype(np.float32) for _ in range(2)
        )
        self.op = OneOp(isa, max_tokens=rows, threads=threads, max_context=1024)
        self.out = self.op.shared(self.heads * width)
        slots = [self.op.input(x) for x in (self.q, self.k, self.v)]
        self.sinks = None if sinks is None else np.full(self.heads, sinks, np.float32)
        self.op.native.attend(
            *slots, 0, self.heads, kv_heads, width, self.scale, window, self.sinks, self.out
        )

    def run(
        self,
        pieces: Sequence[tuple[list[int], int, list[int]]],
        *,
        fresh: bool = True,
    ) -> Floats:
        """One step of (pages, position, rows) for each segment; its outputs [T, heads * width]."""
        self.op.tables = np.full((len(pieces), 16), -1, np.int32)
        taken = []
        for at, (pages, position, rows) in enumerate(pieces):
            self.op.tables[at, : len(pages)] = pages
            taken += pages[-(-position // 64) : -(-(position + len(rows)) // 64)]
        self.op.run(
            [row for _, _, rows in pieces for row in rows],
            starts=np.cumsum([0, *(len(rows) for _, _, rows in pieces)]).tolist(),
            positions=[position for _, position, _ in pieces],
            fresh=taken if fresh else [],
            cache_bytes=1 << 24,
        )
        return self.op.read(self.out, self.heads * self.width)

    def whole(self, rows: int, pages: list[int] | None = None) -> Floats:
        return self.run([(pages or list(range(16)), 0, list(range(rows)))])

    def expected(self, rows: int) -> tuple[Floats, NDArray[np.float64]]:
        """The reference's outputs of rows 0..rows as one sequence, and how far off one may be.

        Weights are rounded to bf16 on both sides, relative to a different largest one: one part in
        2^8 of each. Scores are sums of `width` products, and an error there scales its weight.
        """
        step = Step.of([(0, 0, [0] * rows)])

        def attend(v: Floats) -> Floats:
            return np.asarray(
                reference.attention(
                    self.q[:rows],
                    self.k[:rows],
                    v[:rows],
                    step,
                    LayerCache("native"),
                    heads=self.heads,
                    kv_heads=self.kv_heads,
                    scale=self.scale,
                    window=self.window,
                    sinks=self.sinks,
                )
            )

        q, k = (np.abs(x).reshape(len(x), -1, self.width) for x in (self.q, self.k))
        score = self.scale * (q.sum(-1).max() * k.max())
        error = 2 * (self.width + 8) * 2.0**-24 * score
        return attend(self.v), (2.0**-8 + 2 * error + rows * 2.0**-22) * attend(
            np.abs(self.v)
        ) + 1e-6


def assert_within(a: Attention, got: Floats, rows: int) -> None:
    expected, allowed = a.expected(rows)
    far = np.abs(got.astype(np.float64) - expected)
    assert (far <= allowed).all(), f"{(far / allowed).max()} of what is allowed"


SHAPES = [(8, 1), (16, 3), (24, 7), (40, 14), (64, 3), (72, 1), (80, 8), (128, 7), (256, 1)]


@pytest.mark.parametrize(("width", "group"), SHAPES)
def test_every_width_and_group(isa: str, width: int, group: int) -> None:
    a = Attention(isa, 70, width=width, group=group, kv_heads=2)
    whole = a.whole(70)
    assert_within(a, whole, 70)
    alone = [a.run([(list(range(4, 8)), at, [at])]) for at in range(70)]
    np.testing.assert_array_equal(np.concatenate(alone), whole)


@pytest.mark.parametrize("window", [1, 7, 64, 100])
def test_windows_forget(isa: str, window: int) -> None:
    a = Attention(isa, 200, width=16, group=3, window=window)
    whole = a.whole(200)
    assert_within(a, whole, 200)
    parts = [a.run([([5, 3, 4, 6], at, list(range(at, at + 40)))]) for at in range(0, 200, 40)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("window", [0, 130, 600])
@pytest.mark.parametrize("threads", [1, 3])
def test_depth_across_spans(isa: str, window: int, threads: int) -> None:
    """Past 512 positions: a second span, merged into the first; alone it is shared by threads."""
    a = Attention(isa, 660, width=24, group=3, window=window, threads=threads)
    whole = a.whole(660)
    assert_within(a, whole, 660)
    pages = list(range(16, 32))
    a.run([(pages, 0, list(range(655)))])
    last = a.run([(pages, 655, list(range(655, 660)))])
    np.testing.assert_array_equal(last, whole[655:])


@pytest.mark.parametrize("sink", [-60.0, -1.0, 0.0, 3.0, 60.0])
@pytest.mark.parametrize("window", [0, 100])
@pytest.mark.parametrize("threads", [1, 3])
def test_sinks_take_weight(isa: str, threads: int, window: int, sink: float) -> None:
    """Over two spans: a head's sink is counted once, whoever merges them."""
    a = Attention(isa, 560, width=16, group=3, window=window, sinks=sink, threads=threads)
    whole = a.whole(560)
    assert_within(a, whole, 560)
    pages = list(range(16, 32))
    a.run([(pages, 0, list(range(555)))])
    last = a.run([(pages, 555, list(range(555, 560)))])
    np.testing.assert_array_equal(last, whole[555:])
    alone = Attention(isa, 560, width=16, group=3, window=window).whole(560)
    assert (np.abs(whole) <= np.abs(alone)).all(), "a sink gives something"
    assert (sink < -50) == np.allclose(whole, alone, atol=1e-6)


def test_each_head_has_its_own_sink(isa: str) -> None:
    a = Attention(isa, 40, width=24, group=3, kv_heads=2, sinks=0.0)
    b = Attention(isa, 40, width=24, group=3, kv_heads=2, sinks=[-4.0, 9.0, 0.0, 0.0, 2.0, 0.0])
    both = [x.whole(40).reshape(40, 6, 24) for x in (a, b)]
    assert_within(b, both[1].reshape(40, -1), 40)
    same = (both[0] == both[1]).all((0, 2))
    assert same.tolist() == [False, False, True, True, False, True]


def test_sharp_scores(isa: str) -> None:
    """One key outweighs all others by e^50 and more."""
    a = Attention(isa, 150, width=64, size=30.0)
    assert_within(a, a.whole(150), 150)


def test_what_a_page_held_before_changes_nothing(isa: str) -> None:
    a = Attention(isa, 300, width=40, group=2, kv_heads=2)
    clean = a.whole(130)
    for pages in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        a.run([(pages, 0, list(range(299, -1, -1)))])  # others' keys and values, in every place
        np.testing.assert_array_equal(a.run([(pages, 0, list(range(130)))]), clean)


def test_positions_past_the_last_are_not_seen(isa: str) -> None:
    """A sequence that was rolled back, in the middle of a page that is not taken afresh."""
    a = Attention(isa, 300, width=40, group=2)
    clean = a.whole(100)
    a.run([([0, 1, 2, 3, 4], 0, [*range(70), *range(200, 300), *range(200, 300)])])
    again = a.run([([0, 1, 2, 3, 4], 70, list(range(70, 100)))], fresh=False)
    np.testing.assert_array_equal(again, clean[70:])


@pytest.mark.parametrize("threads", [1, 2])
def test_segments_do_not_see_each_other(isa: str, threads: int) -> None:
    a = Attention(isa, 300, width=16, group=3, threads=threads)
    alone = a.whole(90)
    a.run([([8, 9], 0, list(range(80)))])
    together = a.run(
        [([0, 1], 0, list(range(100, 170))), ([8, 9], 80, list(range(80, 90))), ([2], 0, [200])]
    )
    np.testing.assert_array_equal(together[70:80], alone[80:])


def test_a_shared_page_serves_both(isa: str) -> None:
    """Two sequences with one beginning read the same first page, each with a tail of its own."""
    a = Attention(isa, 200, width=16)
    whole = a.whole(70)
    tails = a.run([([0, 5], 64, list(range(64, 70))), ([0, 6], 64, list(range(64, 70)))])
    np.testing.assert_array_equal(tails[:6], whole[64:])
    np.testing.assert_array_equal(tails[6:], whole[64:])
