"""Latent attention over pages against the reference, and what must change nothing: how heads are
grouped, where pages lie, what they held, who else is in the step, who shares the spans."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp

from farthing import weight
from farthing.ops import reference
from farthing.ops.reference_cache import LayerCache, Step

Floats = NDArray[np.float32]
CONTEXT = 1152


@cache
def inputs(rows: int, heads: int, width: int, size: float) -> tuple[Floats, Floats]:
    """Queries [rows, heads * width] and latents [rows, width]."""
    rng = np.random.default_rng(rows + heads)
    q = (rng.standard_normal((rows, heads * width)) * size).astype(np.float32)
    return q, rng.standard_normal((rows, width)).astype(np.float32)


@cache
def answer(
    rows: int, most: int, heads: int, width: int, value: int, size: float
) -> tuple[Floats, NDArray[np.float64]]:
    """The reference's outputs of rows 0..rows as one sequence, and how far off one may be.

    As in test_native_attention.py: weights are rounded to bf16 on both sides, relative to different
    largest ones, and an error in a score scales its weight.
    """
    q, latent = (x[:rows] for x in inputs(most, heads, width, size))
    step, scale = Step.of([(0, 0, [0] * rows)]), np.float32(width**-0.5)
    expected = reference.latent_attention(
        q, latent, step, LayerCache("native"), heads=heads, width=value, scale=scale
    )
    magnitude = reference.attention(
        q,
        latent,
        np.abs(latent[:, :value]),
        step,
        LayerCache("native"),
        heads=heads,
        kv_heads=1,
        scale=scale,
    )
    score = scale * np.abs(q).reshape(rows, -1, width).sum(-1).max() * np.abs(latent).max()
    error = 2 * (width + 8) * 2.0**-24 * score
    return expected, (2.0**-8 + 2 * error + rows * 2.0**-22) * magnitude.astype(np.float64) + 1e-6


class Latent:
    """One layer over the rows of q and the latents: token t is row t, at whatever position."""

    def __init__(
        self,
        isa: str,
        rows: int,
        *,
        heads: int = 4,
        groups: int = 1,
        width: int = 72,
        value: int = 64,
        threads: int = 1,
        size: float = 1.0,
    ) -> None:
        self.shape = heads, width, value, size
        self.rows, self.value = rows, heads * value
        q, latent = inputs(rows, heads, width, size)
        self.op = OneOp(isa, max_tokens=rows, threads=threads, max_context=CONTEXT)
        native = self.op.native
        native.keep(self.op.input(latent), 0, width)
        # threads meet at a linear, before anybody attends
        self.op.linear(latent[:, :16], weight.dense(np.eye(16, dtype=np.float32)))
        self.out, scale = self.op.shared(self.value), float(np.float32(width**-0.5))
        native.attend_latent(self.op.input(q), 0, heads, groups, width, value, scale, self.out)

    def run(
        self, pieces: Sequence[tuple[list[int], int, list[int]]], *, fresh: bool = True
    ) -> Floats:
        """One step of (pages, position, rows) for each segment; its outputs [T, heads * value]."""
        self.op.tables = np.full((len(pieces), CONTEXT // 64), -1, np.int32)
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
        return self.op.read(self.out, self.value)

    def whole(self, rows: int) -> Floats:
        return self.run([(PAGES, 0, list(range(rows)))])

    def assert_within(self, got: Floats, rows: int) -> None:
        expected, allowed = answer(rows, self.rows, *self.shape)
        far = np.abs(got.astype(np.float64) - expected)
        assert (far <= allowed).all(), f"{(far / allowed).max()} of what is allowed"


PAGES = list(range(CONTEXT // 64))
WIDTHS = [(16, 16), (24, 16), (40, 32), (72, 64), (80, 64), (96, 80), (144, 128), (576, 512)]


@pytest.mark.parametrize(("width", "value"), WIDTHS)
def test_every_width(isa: str, width: int, value: int) -> None:
    a = Latent(isa, 70, width=width, value=value, heads=3)
    whole = a.whole(70)
    a.assert_within(whole, 70)
    alone = [a.run([(PAGES[4:8], at, [at])]) for at in range(70)]
    np.testing.assert_array_equal(np.concatenate(alone), whole)


@pytest.mark.parametrize("heads", [*range(1, 17), 40])
def test_every_number_of_heads(isa: str, heads: int) -> None:
    a = Latent(isa, 130, heads=heads, width=40, value=32)
    whole = a.whole(130)
    a.assert_within(whole, 130)
    for count in (1, 5, 40):
        parts = [
            a.run([(PAGES[4:8], at, list(range(at, min(at + count, 130))))])
            for at in range(0, 130, count)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole, err_msg=str(count))


@pytest.mark.parametrize("threads", [1, 3])
def test_heads_are_the_same_in_any_group(isa: str, threads: int) -> None:
    outs = [
        Latent(isa, 200, heads=12, groups=n, threads=threads).whole(200)
        for n in (1, 2, 3, 4, 6, 12)
    ]
    for out in outs[1:]:
        np.testing.assert_array_equal(out, outs[0])


@pytest.mark.parametrize("rows", [513, 660, 1100])
@pytest.mark.parametrize("threads", [1, 3])
def test_depth_across_spans(isa: str, rows: int, threads: int) -> None:
    """Past 512 and 1024 positions: spans merged in order; alone they are shared by threads."""
    a = Latent(isa, rows, heads=6, groups=2, width=40, value=32, threads=threads)
    whole = a.whole(rows)
    a.assert_within(whole, rows)
    for count in (1, 5):
        a.run([(PAGES, 0, list(range(rows - count)))])
        last = a.run([(PAGES, rows - count, list(range(rows - count, rows)))])
        np.testing.assert_array_equal(last, whole[-count:])


def test_threads_share_pieces_without_a_trace(isa: str) -> None:
    one = Latent(isa, 300, heads=5).whole(300)
    for threads in (2, 5):
        many = Latent(isa, 300, heads=5, threads=threads)
        np.testing.assert_array_equal(many.whole(300), one)
        for at in (0, 1, 4, 20):
            part = many.run([(PAGES[8:13], 0, list(range(at + 1)))])
            np.testing.assert_array_equal(part, one[: at + 1])


def test_sharp_scores(isa: str) -> None:
    """One latent outweighs all others by e^50 and more."""
    a = Latent(isa, 150, size=30.0)
    a.assert_within(a.whole(150), 150)


def test_what_a_page_held_before_changes_nothing(isa: str) -> None:
    a = Latent(isa, 300, width=40, value=32)
    clean = a.whole(130)
    for pages in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        a.run([(pages, 0, list(range(299, -1, -1)))])  # others' latents, in every place
        np.testing.assert_array_equal(a.run([(pages, 0, list(range(130)))]), clean)


def test_positions_past_the_last_are_not_seen(isa: str) -> None:
    """A sequence that was rolled back, in the middle of a page that is not taken afresh."""
    a = Latent(isa, 300, width=40, value=32)
    clean = a.whole(100)
    a.run([([0, 1, 2, 3, 4], 0, [*range(70), *range(200, 300), *range(200, 300)])])
    again = a.run([([0, 1, 2, 3, 4], 70, list(range(70, 100)))], fresh=False)
    np.testing.assert_array_equal(again, clean[70:])


@pytest.mark.parametrize("threads", [1, 2])
def test_segments_do_not_see_each_other(isa: str, threads: int) -> None:
    a = Latent(isa, 300, heads=3, threads=threads)
    alone = a.whole(90)
    a.run([([8, 9], 0, list(range(80)))])
    together = a.run(
        [([0, 1], 0, list(range(100, 170))), ([8, 9], 80, list(range(80, 90))), ([2], 0, [200])]
    )
    np.testing.assert_array_equal(together[70:80], alone[80:])


def test_a_shared_page_serves_both(isa: str) -> None:
    """Two sequences with one beginning read the same first page, each with a tail of its own."""
    a = Latent(isa, 200, width=40, value=32)
    whole = a.whole(70)
    tails = a.run([([0, 5], 64, list(range(64, 70))), ([0, 6], 64, list(range(64, 70)))])
    np.testing.assert_array_equal(tails[:6], whole[64:])
    np.testing.assert_array_equal(tails[6:], whole[64:])


@pytest.mark.slow
@pytest.mark.parametrize(("heads", "groups", "rows"), [(16, 2, 600), (128, 8, 200)])
def test_the_sizes_of_the_models_themselves(isa: str, heads: int, groups: int, rows: int) -> None:
    a = Latent(isa, rows, heads=heads, groups=groups, width=576, value=512, threads=2)
    whole = a.whole(rows)
    a.assert_within(whole, rows)
    for count in (1, 5):
        a.run([(PAGES, 0, list(range(rows - count)))])
        last = a.run([(PAGES, rows - count, list(range(rows - count, rows)))])
        np.testing.assert_array_equal(last, whole[-count:])
