"""The native attention of bf16: near what float64 says, and each document's bits its own."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from packed_rows import packed
from torch import Tensor

from farthing.learn import fused_attention, spans
from farthing.learn.fused_attention import Fused, fits
from farthing.learn.spans import Spans, attend
from farthing.ops.training_attention import ISA, Attention

pytestmark = pytest.mark.needs(ISA)

LENGTHS = [1, 15, 16, 17, 63, 64, 65, 500, 2, 129]
HEADS = {
    "as trained": (8, 8, 48, 32),
    "grouped, narrow": (4, 2, 8, 8),
    "one for all, odd widths": (3, 1, 24, 72),
    "wide": (2, 2, 256, 200),
}
ROUNDED, ROUNDED_BACK = 0.01, 0.02
"""As test_fast_ops has them."""


def tensors(heads: tuple[int, int, int, int], tokens: int, seed: int = 5) -> list[Tensor]:
    """q, k, v and the gradient of what comes out."""
    h, g, d, c = heads
    generator = torch.Generator().manual_seed(seed)
    widths = h * d, g * d, g * c, h * c
    return [torch.randn(tokens, w, generator=generator).bfloat16() for w in widths]


def bounds_of(lengths: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *lengths])


def native(
    x: list[Tensor], lengths: Sequence[int], heads: tuple[int, ...], window: int, threads: int = 1
) -> list[Tensor]:
    """The output, and gradients of q, k and v."""
    q, k, v = (t.detach().requires_grad_() for t in x[:3])
    how = Attention(bounds_of(lengths), heads[0], heads[1], 0.3, window, threads)
    out = Fused.apply(q, k, v, how)
    return [out.detach(), *torch.autograd.grad(out, [q, k, v], x[3])]


def by_torch(x: list[Tensor], lengths: Sequence[int], heads: tuple[int, ...], window: int):
    """The products that other dtypes take, in bf16."""
    of = Spans.of(packed([[*lengths, 2]], vocabulary=16))
    q, k, v = (t.detach().requires_grad_() for t in x[:3])
    out = spans._Attended.apply(q, k, v, of, heads[0], heads[1], 0.3, window)
    return [out.detach(), *torch.autograd.grad(out, [q, k, v], x[3])]


def exactly(x: list[Tensor], lengths: Sequence[int], heads: tuple[int, ...], window: int):
    """Document by document, all scores at once, in float64."""
    h, g, d, c = heads
    q, k, v = (t.double().requires_grad_() for t in x[:3])
    outs, bounds = [], bounds_of(lengths).tolist()
    for begin, end in pairwise(bounds):
        n = end - begin
        qs = q[begin:end].view(n, h, d).transpose(0, 1)
        ks = k[begin:end].view(n, g, d).transpose(0, 1).repeat_interleave(h // g, 0)
        vs = v[begin:end].view(n, g, c).transpose(0, 1).repeat_interleave(h // g, 0)
        ahead = torch.arange(n)[None, :] - torch.arange(n)[:, None]
        hidden = (ahead > 0) | ((ahead <= -window) if window else False)
        weights = (qs @ ks.mT * 0.3).masked_fill(hidden, -torch.inf).softmax(-1)
        outs.append((weights @ vs).transpose(0, 1).reshape(n, -1))
    out = torch.cat(outs)
    return [out.detach(), *torch.autograd.grad(out, [q, k, v], x[3].double())]


def off(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("window", [0, 2, 20, 64, 100])
@pytest.mark.parametrize("heads", HEADS.values(), ids=list(HEADS))
def test_it_is_as_near_the_truth_as_torch(heads: tuple[int, int, int, int], window: int) -> None:
    """Mostly nearer, by a third. Where a query sees two keys, gradients are differences of like
    numbers, and both lose."""
    x = tensors(heads, sum(LENGTHS))
    got, expected = native(x, LENGTHS, heads, window), exactly(x, LENGTHS, heads, window)
    beside = by_torch(x, LENGTHS, heads, window)
    limits = ROUNDED, ROUNDED_BACK, ROUNDED_BACK, ROUNDED_BACK
    for mine, theirs, exact, limit in zip(got, beside, expected, limits, strict=True):
        assert mine.dtype == torch.bfloat16
        assert off(mine, exact) < limit
        assert off(mine, exact) < 1.1 * off(theirs, exact)


@pytest.mark.parametrize("window", [0, 20])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_document_is_as_alone(length: int, window: int) -> None:
    """To the bit, wherever it lies, and whatever its neighbours hold."""
    heads = HEADS["as trained"]
    alone = tensors(heads, length, seed=length)
    around = [torch.full((n, t.shape[1]), torch.nan).bfloat16() for n in (3, 90) for t in alone]
    among = [
        torch.cat([before, x, after])
        for before, x, after in zip(around[:4], alone, around[4:], strict=True)
    ]
    got = native(among, [3, length, 90], heads, window)
    for mine, expected in zip(got, native(alone, [length], heads, window), strict=True):
        assert torch.equal(mine[3 : 3 + length], expected)
        assert bool(expected.isfinite().all())


@pytest.mark.parametrize("heads", HEADS.values(), ids=list(HEADS))
def test_threads_change_no_bits(heads: tuple[int, int, int, int]) -> None:
    x = tensors(heads, sum(LENGTHS))
    one = native(x, LENGTHS, heads, 0)
    for threads in (2, 3, 100):
        for mine, expected in zip(native(x, LENGTHS, heads, 0, threads), one, strict=True):
            assert torch.equal(mine, expected)


def test_a_long_document_is_attended() -> None:
    heads = HEADS["as trained"]
    x = tensors(heads, 2048)
    for mine, exact in zip(native(x, [2048], heads, 0), exactly(x, [2048], heads, 0), strict=True):
        assert off(mine, exact) < ROUNDED_BACK


def test_large_scores_do_not_overflow() -> None:
    heads = HEADS["as trained"]
    x = tensors(heads, 200)
    x[0] *= 1000
    got, expected = native(x, [200], heads, 0), exactly(x, [200], heads, 0)
    assert all(bool(t.isfinite().all()) for t in got)
    assert off(got[0], expected[0]) < ROUNDED


def test_rows_may_lie_apart() -> None:
    """As parts of a wider tensor's columns do; a gradient may be one number, expanded."""
    heads = HEADS["grouped, narrow"]
    x = tensors(heads, 100)
    apart = [torch.cat([t, t + 1], 1)[:, : t.shape[1]] for t in x]
    for mine, expected in zip(
        native(apart, [100], heads, 0), native(x, [100], heads, 0), strict=True
    ):
        assert torch.equal(mine, expected)
    x[3] = torch.ones(1, 1).bfloat16().expand_as(x[3])
    full = [*x[:3], torch.ones_like(x[3]).contiguous()]
    for mine, expected in zip(
        native(x, [100], heads, 0), native(full, [100], heads, 0), strict=True
    ):
        assert torch.equal(mine, expected)


def test_attend_takes_it_for_bf16_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = HEADS["as trained"]
    of = Spans.of(packed([[40, 30, 2]], vocabulary=16))
    q, k, v, _ = tensors(heads, 70)
    settings = {"heads": 8, "kv_heads": 8}
    assert fits(q, v, **settings)
    assert not fits(q.float(), v.float(), **settings)
    assert not fits(q[:, : 8 * 44], v, **settings)
    taken = attend(q, k, v, of, scale=0.3, **settings)
    assert torch.equal(taken, native([q, k, v, v], [40, 30], heads, 0)[0])
    monkeypatch.setattr(fused_attention, "choose_isa", lambda: "avx2")
    assert not fits(q, v, **settings)


def test_what_does_not_fit_is_refused() -> None:
    q, k, v, _ = (t.view(torch.int16).numpy() for t in tensors(HEADS["as trained"], 50))
    out, stats = v.copy(), np.zeros((8, 2, 50), np.float32)
    whole = bounds_of([20, 30])
    Attention(whole, 8, 8, 0.3, 0, 1).forward(q, k, v, out, stats)
    for bounds in ([0, 20], [0, 51], [0, 20, 20, 50], [0, 60, 50], [1, 50], [-1, 50], [50], []):
        with pytest.raises(ValueError, match="document"):
            wrong = Attention(np.array(bounds, np.int64), 8, 8, 0.3, 0, 1)
            wrong.forward(q, k, v, out, stats)
    for heads, kv_heads, threads in ((8, 3, 1), (0, 8, 1), (8, 0, 1), (8, 8, 0), (16, 8, 1)):
        with pytest.raises(ValueError):
            Attention(whole, heads, kv_heads, 0.3, 0, threads).forward(q, k, v, out, stats)
    fine, how = (q, k, v, out, stats), Attention(whole, 8, 8, 0.3, 0, 1)
    narrow = np.zeros((50, 8 * 300), np.int16)
    for place, wrong in (
        (0, q[:49]),
        (0, q[:, :-8]),
        (0, narrow),
        (1, k[:49]),
        (1, k[:, :-8]),
        (1, k[::-1]),
        (2, v[:49]),
        (2, v[:, ::-1]),
        (3, out[:49]),
        (3, out[:, :-8]),
        (3, np.broadcast_to(out[:1], out.shape)),
        (4, stats[:7]),
        (4, stats[:, :, :49].copy()),
    ):
        with pytest.raises((ValueError, TypeError)):
            how.forward(*fine[:place], wrong, *fine[place + 1 :])
    grads = q.copy(), k.copy(), v.copy()
    how.backward((q, k, v), (out, stats), out, grads)
    for place in range(3):
        wrong = [*grads]
        wrong[place] = wrong[place][:49]
        with pytest.raises(ValueError):
            how.backward((q, k, v), (out, stats), out, tuple(wrong))
    with pytest.raises(ValueError):
        how.backward((q, k, v), (out, stats), out[:, :-8], grads)
