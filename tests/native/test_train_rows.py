"""Rows of a training step are the formulas in float64 within bf16's rounding, on every instruction
set; their bits do not depend on threads."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from farthing.ops import training
from farthing.weight import bf16_to_f32, f32_to_bf16

ROUNDED = 2.0**-8
"""Half of a bf16's last place, and a little for fp32: of each number."""

EXACT = 2e-6
"""Of fp32 sums, of the largest."""

WIDTHS = [1, 8, 15, 16, 17, 48, 250]

Wide = NDArray[np.float64]


def bf16(x: NDArray[Any]) -> training.Bf16:
    return f32_to_bf16(np.ascontiguousarray(x, np.float32)).view(np.int16)


def wide(x: training.Bf16) -> Wide:
    return bf16_to_f32(x.view(np.uint16)).astype(np.float64)


def drawn(*shape: int, seed: int = 0) -> training.Bf16:
    return bf16(np.random.default_rng(seed).standard_normal(shape))


def floats(*shape: int, seed: int = 0) -> training.Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def near(got: training.Bf16, expected: Wide) -> bool:
    """Each to a rounding, or to one of what cancelled."""
    room = ROUNDED * np.abs(expected) + EXACT * np.abs(expected).max()
    return bool((np.abs(wide(got) - expected) <= room).all())


def exact(got: training.Floats, expected: Wide) -> bool:
    return bool((np.abs(got - expected) <= EXACT * np.abs(expected).max()).all())


def sigmoid(x: Wide) -> Wide:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("vocabulary", [1, 7, 16, 33, 1000])
def test_cross_entropy(isa: str, vocabulary: int) -> None:
    rng = np.random.default_rng(1)
    logits = bf16(6 * rng.standard_normal((5, vocabulary)))
    targets, learned = rng.integers(0, vocabulary, 5), np.array([1, 0, 1, 0.5, 1], np.float32)
    z = wide(logits)
    logp = z - z.max(1, keepdims=True)
    logp -= np.log(np.exp(logp).sum(1, keepdims=True))
    expected = (np.exp(logp) - np.eye(vocabulary)[targets]) * learned[:, None]
    losses = np.empty(5, np.float32)
    training.cross_entropy(isa, logits, targets, learned, losses, 1)
    room = ROUNDED * np.abs(expected) + 1e-7  # what a probability near one leaves in fp32
    assert (np.abs(wide(logits) - expected) <= room).all()
    wanted = logp[np.arange(5), targets]
    assert (np.abs(losses + wanted) <= 1e-6 * (1 + np.abs(wanted))).all()


def test_logits_far_apart_are_finite(isa: str) -> None:
    logits = bf16(np.array([[3e38, -3e38, 0], [-1e30, -1e30, -1e30]]))
    losses = np.empty(2, np.float32)
    training.cross_entropy(isa, logits, np.array([2, 1]), np.ones(2, np.float32), losses, 1)
    np.testing.assert_array_equal(wide(logits)[0], [1, 0, -1])
    assert losses[0] > 2e38 and losses[1] == pytest.approx(np.log(3))


@pytest.mark.parametrize("width", WIDTHS)
def test_norm_and_its_gradients(isa: str, width: int) -> None:
    x, grad, weight = drawn(700, width), drawn(700, width, seed=1), floats(width, seed=2)
    y, inverse = np.empty_like(x), np.empty(700, np.float32)
    training.norm(isa, x, weight, 1e-3, y, inverse, 1)
    a, g, w = wide(x), wide(grad), weight.astype(np.float64)
    factor = 1 / np.sqrt((a * a).mean(1, keepdims=True) + 1e-3)
    unit = a * factor
    assert near(y, unit * w) and exact(inverse, factor[:, 0])
    grad_x, grad_weight = np.empty_like(x), np.empty(width, np.float32)
    training.norm_back(isa, grad, x, inverse, weight, grad_x, grad_weight, 1)
    along = (g * w * unit).mean(1, keepdims=True)
    got, expected = wide(grad_x), factor * (g * w - unit * along)
    room = ROUNDED * np.abs(expected) + EXACT * factor * np.abs(g * w)
    assert (np.abs(got - expected) <= room + 1e-5 * (width == 1)).all()
    assert exact(grad_weight, (g * unit).sum(0))


@pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "neighbours"])
@pytest.mark.parametrize(("width", "half"), [(2, 1), (8, 4), (16, 8), (40, 16), (50, 20), (64, 32)])
def test_turned_and_back(isa: str, width: int, half: int, interleaved: bool) -> None:
    x, angle = drawn(9, 3 * width), floats(9, half, seed=1)
    cosine, sine = np.cos(angle), np.sin(angle)
    for back in (False, True):
        y = np.empty_like(x)
        training.turn(
            isa, x, (cosine, sine), y, heads=3, interleaved=interleaved, back=back, threads=1
        )
        z, s = wide(x).reshape(9, 3, width), (-sine if back else sine)[:, None].astype(np.float64)
        first = np.s_[..., 0 : 2 * half : 2] if interleaved else np.s_[..., :half]
        second = np.s_[..., 1 : 2 * half : 2] if interleaved else np.s_[..., half : 2 * half]
        expected = z.copy()
        expected[first] = z[first] * cosine[:, None] - z[second] * s
        expected[second] = z[second] * cosine[:, None] + z[first] * s
        assert near(y, expected.reshape(9, -1))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("by_row", [floats(31, seed=5), None], ids=["by row", "plain"])
def test_gated_and_its_gradients(isa: str, width: int, by_row: training.Floats | None) -> None:
    gate, up, grad = (drawn(31, width, seed=seed) for seed in range(3))
    gate[0], y = bf16(np.full(width, -90.0)), np.empty_like(gate)
    training.gated(isa, gate, up, by_row, y, 1)
    g, u, d = wide(gate), wide(up), wide(grad)
    factor = np.ones((31, 1)) if by_row is None else by_row[:, None].astype(np.float64)
    silu, slope = g * sigmoid(g), sigmoid(g) * (1 + g * (1 - sigmoid(g)))
    assert near(y, silu * u * factor)
    grad_by_row = None if by_row is None else np.empty(31, np.float32)
    grads = np.empty_like(gate), np.empty_like(up), grad_by_row
    training.gated_back(isa, grad, (gate, up, by_row), grads, 1)
    assert near(grads[0], d * factor * u * slope) and near(grads[1], d * factor * silu)
    if grad_by_row is not None:
        assert exact(grad_by_row, (d * silu * u).sum(1))


def everything(isa: str, threads: int) -> list[NDArray[Any]]:
    """Of rows enough that threads share them: what each kernel makes."""
    x, grad, weight = drawn(3000, 250), drawn(3000, 250, seed=1), floats(250)
    y, z, inverse = np.empty_like(x), np.empty_like(x), np.empty(3000, np.float32)
    training.norm(isa, x, weight, 1e-6, y, inverse, threads)
    grad_weight, losses, by_row = np.empty(250, np.float32), inverse.copy(), inverse.copy()
    training.norm_back(isa, grad, x, inverse, weight, z, grad_weight, threads)
    made: list[NDArray[Any]] = [y, inverse, z, grad_weight]
    targets = np.arange(3000) % 250
    training.cross_entropy(
        isa, logits := x.copy(), targets, np.ones(3000, np.float32), losses, threads
    )
    training.turn(
        isa,
        x,
        (floats(3000, 20), floats(3000, 20, seed=1)),
        turned := np.empty_like(x),
        heads=5,
        interleaved=True,
        back=False,
        threads=threads,
    )
    training.gated(isa, x, grad, inverse, active := np.empty_like(x), threads)
    grads = np.empty_like(x), np.empty_like(x), by_row
    training.gated_back(isa, y, (x, grad, inverse), grads, threads)
    return [*made, logits, losses, turned, active, *grads]


def test_bits_do_not_depend_on_threads(isa: str) -> None:
    alone = everything(isa, 1)
    for threads in (2, 3):
        for mine, theirs in zip(alone, everything(isa, threads), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_gradients_may_lie_where_their_inputs_do(isa: str) -> None:
    gate, up, grad, by_row = drawn(4, 50), drawn(4, 50, seed=1), drawn(4, 50, seed=2), floats(4)
    apart = np.empty_like(gate), np.empty_like(up), np.empty_like(by_row)
    training.gated_back(isa, grad, (gate, up, by_row), apart, 1)
    training.gated_back(isa, grad, (gate, up, by_row), (grad, up, by_row), 1)
    for mine, theirs in zip((grad, up, by_row), apart, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_would_be_beside_the_rows_is_refused(isa: str) -> None:
    x, ones, row = drawn(3, 8), np.ones(3, np.float32), np.ones(8, np.float32)
    small, y = drawn(2, 8), drawn(3, 8)
    for wrong in (8, -1):
        with pytest.raises(ValueError, match="vocabulary"):
            training.cross_entropy(isa, x, np.array([0, wrong, 0]), ones, ones.copy(), 1)
    with pytest.raises(ValueError, match="one entry"):
        training.cross_entropy(isa, x, np.zeros(2, np.int64), ones, ones.copy(), 1)
    with pytest.raises(ValueError, match="as wide"):
        training.norm(isa, x, row[:7], 1e-6, y, ones, 1)
    with pytest.raises(ValueError, match="shape"):
        training.norm(isa, x, row, 1e-6, small, ones, 1)
    with pytest.raises(ValueError, match="fit one"):
        angles = np.ones((3, 3), np.float32), np.ones((3, 3), np.float32)
        training.turn(isa, x, angles, y, heads=2, interleaved=True, back=False, threads=1)
    with pytest.raises(ValueError, match="shape"):
        training.gated(isa, x, small, None, y, 1)
    with pytest.raises(ValueError, match="gradient"):
        training.gated_back(isa, x, (x, x, ones), (y, y, None), 1)
    with pytest.raises(TypeError):
        training.gated(isa, x[:, ::2], x[:, ::2], None, drawn(3, 4), 1)
    with pytest.raises(ValueError, match="threads"):
        training.gated(isa, x, x, None, y, 0)
    with pytest.raises(ValueError, match="does not run"):
        training.gated("z80", x, x, None, y, 1)
