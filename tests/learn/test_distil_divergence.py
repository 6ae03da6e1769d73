"""Losses of logits against a teacher: their values by definition, their gradients by autograd."""

import pytest
import torch
from torch.nn import functional as F

from farthing.learn import divergence
from farthing.learn.cross_entropy import Logits, cross_entropy
from farthing.learn.divergence import forward, kept, mixed, over, reverse, said

T, D, V = 23, 8, 40


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    """So that chunks, and a short last one, are met."""
    monkeypatch.setattr(divergence, "NUMBERS", 5 * V)


@pytest.fixture
def head():
    torch.manual_seed(0)
    x, weight = (torch.randn(n, D, dtype=torch.float64) for n in (T, V))
    return Logits(x.requires_grad_(), weight.requires_grad_())


TEACHER = 2 * torch.randn(T, V, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
TARGETS = torch.arange(T) * 7 % V


def plain(name, z, t):
    log_q, log_p = (torch.log_softmax(x / t, -1) for x in (z, TEACHER))
    return {
        "said": lambda: F.cross_entropy(z, TARGETS, reduction="sum"),
        "forward": lambda: t * t * F.kl_div(log_q, log_p, log_target=True, reduction="sum"),
        "reverse": lambda: t * t * F.kl_div(log_p, log_q, log_target=True, reduction="sum"),
        "kept": lambda: -t * t * (log_p.exp() * log_q).sum(),
    }[name]()


def ours(name, t):
    everything = torch.arange(V).expand(T, V)
    return {
        "said": lambda: said(TARGETS),
        "forward": lambda: forward(lambda mine: TEACHER[mine], t),
        "reverse": lambda: reverse(lambda mine: TEACHER[mine], t),
        "kept": lambda: kept(everything, torch.softmax(TEACHER / t, -1), t),
    }[name]()


@pytest.mark.parametrize("t", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", ["said", "forward", "reverse", "kept"])
def test_values_and_gradients_are_those_of_the_definition(name, t, head):
    expected = plain(name, head.x @ head.weight.T, t)
    theirs = torch.autograd.grad(expected, (head.x, head.weight))

    found = over(head, ours(name, t))
    mine = torch.autograd.grad(3 * found, (head.x, head.weight))

    torch.testing.assert_close(found, expected)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, 3 * b)


def test_a_mixture_is_the_weighted_sum(head):
    z = head.x @ head.weight.T
    expected = 0.25 * plain("said", z, 1) + 0.75 * plain("reverse", z, 2.0)
    theirs = torch.autograd.grad(expected, (head.x, head.weight))

    found = over(head, mixed([(0.25, ours("said", 1)), (0.75, ours("reverse", 2.0))]))
    mine = torch.autograd.grad(found, (head.x, head.weight))

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(mine, theirs)


def test_all_weight_on_the_text_is_pretrainings_loss(head):
    found = over(head, mixed([(1.0, said(TARGETS)), (0.0, ours("forward", 1.0))]))
    plain_loss = cross_entropy(head, TARGETS, torch.ones(T, dtype=torch.bool))

    torch.testing.assert_close(found, plain_loss)


@pytest.mark.parametrize("name", ["forward", "reverse"])
def test_a_student_that_is_its_teacher_loses_nothing_and_stays(name):
    logits = Logits(TEACHER.clone().requires_grad_(), torch.eye(V, dtype=torch.float64))
    loss = over(logits, ours(name, 2.0))
    loss.backward()

    assert abs(float(loss.detach())) < 1e-9
    assert float(logits.x.grad.abs().max()) < 1e-9


def test_a_token_kept_twice_counts_twice(head):
    once = kept(torch.tensor([[3, 7]] * T), torch.tensor([[0.6, 0.4]] * T))
    twice = kept(torch.tensor([[3, 7, 3]] * T), torch.tensor([[0.2, 0.4, 0.4]] * T))

    torch.testing.assert_close(over(head, once), over(head, twice))
    grads = [torch.autograd.grad(over(head, one), head.x)[0] for one in (once, twice)]
    torch.testing.assert_close(*grads)


def test_products_in_bf16_lose_little(head):
    low = Logits(head.x.detach().bfloat16().requires_grad_(), head.weight.detach().bfloat16())
    found, expected = (over(one, ours("forward", 2.0)) for one in (low, head))
    (mine,), (theirs,) = (torch.autograd.grad(a, b.x) for a, b in ((found, low), (expected, head)))

    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=0.02)
    assert float((mine - theirs).norm() / theirs.norm()) < 0.02


def test_only_what_is_learned_is_multiplied_and_a_head_that_stays_gets_nothing(head):
    learned = torch.arange(T) % 3 == 0
    frozen = Logits(head.x, head.weight.detach())

    found = divergence.text(frozen, TARGETS, learned)
    expected = cross_entropy(head, TARGETS, learned)
    mine, theirs = (torch.autograd.grad(loss, head.x)[0] for loss in (found, expected))

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(mine, theirs)
    assert not mine[~learned].any()
