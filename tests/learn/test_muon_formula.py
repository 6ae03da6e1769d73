"""Muon is its papers' formula, step by step in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from farthing.learn.muon import Muon, orthogonal

Matrix = NDArray[np.float64]
SHAPES = [(8, 8), (6, 20), (20, 6), (3, 12, 5)]
of_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def newton_schulz(matrix: Matrix) -> Matrix:
    """Jordan et al., 2024: five steps of 3.4445 X - 4.7750 XX'X + 2.0315 (XX')^2 X."""
    turned = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if turned else matrix
    x = x / np.linalg.norm(x)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x - 4.7750 * a @ x + 2.0315 * a @ a @ x
    return x.T if turned else x


def each(of: Any, stack: Matrix) -> Matrix:
    return np.stack([of(one) for one in stack]) if stack.ndim == 3 else np.asarray(of(stack))


@of_shapes
def test_orthogonal_is_the_papers_iteration(shape: tuple[int, ...]) -> None:
    matrix = np.random.default_rng(1).normal(size=shape)
    got = orthogonal(torch.from_numpy(matrix), torch.float64).numpy()
    np.testing.assert_allclose(got, each(newton_schulz, matrix), atol=1e-6)


@of_shapes
def test_singular_values_end_near_one(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    for scale in (1e-4, 1.0, 1e4):
        values = torch.linalg.svdvals(orthogonal(scale * matrix))
        assert values.min() > 0.6 and values.max() < 1.25, scale


def test_the_gradient_of_an_expert_without_tokens_moves_nothing_but_decay() -> None:
    stack = torch.nn.Parameter(torch.ones(2, 4, 4))
    stack.grad = torch.stack([torch.zeros(4, 4), torch.eye(4)])
    Muon([stack], lr=0.1, decay=0.5).step()
    torch.testing.assert_close(stack[0].detach(), torch.full((4, 4), 0.95))
    assert (stack[1] - 0.95).abs().max() > 0.01


def in_bf16(matrix: Matrix) -> Matrix:
    return orthogonal(torch.from_numpy(matrix).float()).double().numpy()


@of_shapes
@pytest.mark.parametrize(
    ("iteration", "bound"), [(newton_schulz, 0.06), (in_bf16, 1e-3)], ids=["exact", "bf16"]
)
def test_steps_are_moonlights_formula(shape: tuple[int, ...], iteration: Any, bound: float) -> None:
    """W - rate * (0.2 sqrt(max(n, m)) O + decay * W), O of the gradient ahead (2502.16982).

    O is computed in bf16, whose rounding five steps magnify: hence the wider bound.
    """
    rng = np.random.default_rng(3)
    rate, momentum, decay = 0.02, 0.9, 0.1
    parameter = torch.nn.Parameter(torch.from_numpy(rng.normal(size=shape)).float())
    muon = Muon([parameter], lr=rate, momentum=momentum, decay=decay)
    kept = np.zeros(shape)
    for _ in range(4):
        gradient, before = rng.normal(size=shape), parameter.detach().double().numpy()
        parameter.grad = torch.from_numpy(gradient).float()
        muon.step()
        kept = momentum * kept + gradient
        update = each(iteration, gradient + momentum * kept)
        expected = -rate * (0.2 * max(shape[-2:]) ** 0.5 * update + decay * before)
        moved = parameter.detach().double().numpy() - before
        assert np.linalg.norm(moved - expected) < bound * np.linalg.norm(expected)


def test_parameters_without_a_gradient_stay() -> None:
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    Muon([parameter], lr=0.1).step()
    assert torch.equal(parameter, torch.ones(2, 2))
