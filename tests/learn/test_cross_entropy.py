"""The loss that keeps no logits is torch's cross-entropy, and so are its gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farthing.learn.cross_entropy import CHUNK, Logits, cross_entropy

WIDTH, VOCABULARY = 16, 40


def inputs(tokens: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(tokens, WIDTH, generator=generator).bfloat16().to(dtype)
    weight = (torch.randn(VOCABULARY, WIDTH, generator=generator) / 2).bfloat16().to(dtype)
    targets = torch.randint(VOCABULARY, (tokens,), generator=generator)
    learned = torch.rand(tokens, generator=generator) < 0.7
    return x.requires_grad_(), weight.requires_grad_(), targets, learned


def plainly(x: Tensor, weight: Tensor, targets: Tensor, learned: Tensor) -> Tensor:
    return F.cross_entropy((x @ weight.T)[learned], targets[learned], reduction="sum")


@pytest.mark.parametrize("tokens", [1, 5, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_it_is_torchs(tokens: int) -> None:
    x, weight, targets, learned = inputs(tokens, torch.float32)
    learned[0] = True
    got = cross_entropy(Logits(x, weight), targets, learned)
    expected = plainly(x, weight, targets, learned)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=0)
    mine = torch.autograd.grad(0.25 * got, (x, weight))
    for gradient, want in zip(mine, torch.autograd.grad(0.25 * expected, (x, weight)), strict=True):
        torch.testing.assert_close(gradient, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


def test_gradients_are_finite_differences() -> None:
    x, weight, targets, learned = inputs(9, torch.float64)

    def call(x: Tensor, weight: Tensor) -> Tensor:
        return cross_entropy(Logits(x, weight), targets, learned)

    assert torch.autograd.gradcheck(call, (x, weight))


def test_bf16_stays_near_fp32() -> None:
    """Probabilities of 8 bits: each token's loss is off by 2^-8 or less, their mean by far less."""
    x, weight, targets, learned = inputs(3000, torch.bfloat16)
    got = cross_entropy(Logits(x, weight), targets, learned)
    exact = [part.detach().float().requires_grad_() for part in (x, weight)]
    expected = plainly(*exact, targets, learned)
    count = int(learned.sum())
    assert abs(float(got.detach() - expected.detach())) / count < 1e-3
    for part, like in zip((x, weight), exact, strict=True):
        (mine,) = torch.autograd.grad(got, part, retain_graph=True)
        (want,) = torch.autograd.grad(expected, like, retain_graph=True)
        assert float((mine.float() - want).norm() / want.norm()) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_target_that_was_ruled_out_costs_much_and_is_finite(dtype: torch.dtype) -> None:
    weight = torch.zeros(3, 4, dtype=dtype)
    weight[0] = 100.0
    x = torch.ones(2, 4, dtype=dtype, requires_grad=True)
    got = cross_entropy(Logits(x, weight), torch.tensor([1, 0]), torch.tensor([True, True]))
    (gradient,) = torch.autograd.grad(got, x)
    assert 80 < got < 401
    assert gradient.isfinite().all() and gradient[0].abs().max() > 50
    assert gradient[1].abs().max() == 0


def test_nothing_learned_costs_nothing() -> None:
    x, weight, targets, learned = inputs(5, torch.float32)
    got = cross_entropy(Logits(x, weight), targets, torch.zeros_like(learned))
    gradients = torch.autograd.grad(got, (x, weight))
    assert float(got.detach()) == 0
    assert all(gradient.abs().max() == 0 for gradient in gradients)
