"""Whole models: losses and gradients of a packed batch are transformers', document by document."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from packed_rows import packed, step_of
from torch import Tensor
from torch.nn import functional as F
from toy_models import (
    DOCUMENTS,
    FAMILIES,
    VOCABULARY,
    as_in_checkpoints,
    leaves,
    made,
    their_gradients,
    with_next_token,
)
from toy_run import SPARSE

from farthing import models
from farthing.learn.losses import losses
from farthing.learn.parameters import Parameters, cast
from farthing.models.deepseek_mtp import NextToken
from farthing.models.tensors import Tensors
from farthing.ops.reference_cache import Cache, LayerCache, Step
from models.canonical import canonical

BATCH = packed(DOCUMENTS, VOCABULARY)


@pytest.mark.parametrize("case", FAMILIES)
def test_losses_and_gradients_are_transformers(case: str) -> None:
    config, theirs = made(case)
    weights = leaves(theirs.state_dict(), config)
    got = losses(config, weights, BATCH)
    got.main.backward()

    expected = torch.zeros(())
    for tokens, targets in documents():
        logits = theirs(tokens[None]).logits[0]
        expected = expected + F.cross_entropy(logits[: len(targets)], targets, reduction="sum")
    expected.backward()
    torch.testing.assert_close(got.main, expected, rtol=1e-5, atol=0)
    assert got.count == sum(len(targets) for _, targets in documents())
    assert_same_gradients(weights, their_gradients(theirs, config))


def documents(beyond: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens of each document that lie in a row, and those that follow the first one.

    A row's last document goes on: `beyond` tokens of it are known.
    """
    for row, lengths in enumerate(DOCUMENTS):
        start = 0
        known = torch.cat([BATCH.tokens[row, :1], BATCH.targets[row]])
        for stop in torch.tensor(lengths).cumsum(0).tolist():
            within = min(stop, len(known) - 2 + beyond)
            yield BATCH.tokens[row, start:stop], known[start + 1 : within]
            start = stop


def assert_same_gradients(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Of every parameter, to 1e-5 of its norm."""
    learned = {name for name, weight in weights.items() if weight.requires_grad}
    assert learned == set(expected)
    for name in learned:
        got, want = weights[name].grad, expected[name]
        assert got is not None, name
        off = float((got - want).norm() / want.norm())
        assert off < 1e-5, f"{name}: {off}"


@pytest.mark.parametrize("case", ["V3, low-rank queries, groups", "V3, tied, scaled"])
def test_the_next_token_head_is_transformers(case: str) -> None:
    config, theirs = made(case)
    head = with_next_token(theirs)
    weights = leaves(theirs.state_dict() | as_in_checkpoints(head.state_dict(), config), config)
    got = losses(config, weights, BATCH)
    assert got.next_token is not None
    (got.main + 0.3 * got.next_token).backward()

    main, further = torch.zeros(()), torch.zeros(())
    for tokens, known in documents(beyond=2):
        hidden = theirs.model(tokens[None]).last_hidden_state
        logits = theirs.lm_head(hidden)[0]
        targets = known[: len(tokens)]
        main = main + F.cross_entropy(logits[: len(targets)], targets, reduction="sum")
        two = len(known) - 1
        place = torch.arange(two)[None]
        deep = head.forward_layer(0, hidden[:, :two], place, None, input_ids=known[None, :-1])
        logits = head._project_to_logits(deep)[0]
        further = further + F.cross_entropy(logits, known[1:], reduction="sum")
    (main + 0.3 * further).backward()
    torch.testing.assert_close(got.main, main, rtol=1e-5, atol=0)
    torch.testing.assert_close(got.next_token, further, rtol=1e-5, atol=0)
    theirs_too = as_in_checkpoints(
        {name: p.grad for name, p in head.named_parameters() if p.grad is not None}, config
    )
    own = {name: p.grad for name, p in theirs.named_parameters()}
    assert_same_gradients(weights, canonical(own | theirs_too, config))


@pytest.mark.parametrize("case", ["V3, low-rank queries, groups", "Qwen3-MoE", "Mistral, window"])
def test_losses_are_the_references(case: str) -> None:
    """The page on `ops.reference`, where a row's documents are sequences of their own."""
    config, theirs = made(case)
    weights = leaves(theirs.state_dict(), config)
    head: dict[str, Tensor] = {}
    if config["model_type"] == "deepseek_v3":
        found = with_next_token(theirs).state_dict()
        head = leaves(as_in_checkpoints(found, config), config)
    got = losses(config, weights | head, BATCH)
    total = got.main if got.next_token is None else got.main + got.next_token
    total.backward()
    mine = {n: w.grad for n, w in (weights | head).items() if w.requires_grad}

    for weight in (weights | head).values():
        weight.grad = None
    plainly(config, weights, head).backward()
    for name, gradient in mine.items():
        want = (weights | head)[name].grad
        assert gradient is not None and want is not None, name
        assert float((gradient - want).norm() / want.norm()) < 1e-5, name


def test_a_fresh_model_in_bf16_is_near_fp32() -> None:
    """As training begins: loss within 0.5 %, all gradients together within 5 % and 3 degrees."""
    parameters = Parameters(SPARSE, seed=3, next_token=True)
    batch, found = packed(DOCUMENTS, SPARSE["vocab_size"]), []
    for dtype in (torch.float32, torch.bfloat16):
        parameters.zero_grad()
        got = losses(SPARSE, cast(parameters.weights(), dtype), batch)
        assert got.next_token is not None and got.main.dtype == torch.float32
        (got.main + got.next_token).backward()
        gradient = torch.cat([p.grad.flatten() for p in parameters.parameters()])
        found.append((float(got.main.detach()), gradient))
    (loss, exact), (rounded, near) = found
    assert rounded == pytest.approx(loss, rel=5e-3)
    assert float(near.norm() / exact.norm()) == pytest.approx(1, abs=0.05)
    assert torch.nn.functional.cosine_similarity(near, exact, dim=0) > 0.9986


def plainly(config: dict[str, Any], weights: dict[str, Tensor], head: dict[str, Tensor]) -> Tensor:
    page: Any = models.load(config, weights)
    step = step_of(BATCH)
    hidden = page.final(page.stream(step, Cache.empty(page.shape.layers)))
    learned, targets = BATCH.learned, BATCH.targets
    total = summed(page.answer(hidden), targets[:, :-1], learned[:, :-1])
    if head:
        last = NextToken(page, config, Tensors(weights | head))
        after = Step(
            tokens=targets[:, :-1].flatten(),
            positions=step.positions,
            rows=step.rows,
            segments=step.segments,
        )
        logits = last.forward(hidden, after, LayerCache())
        total = total + summed(logits, targets[:, 1:], learned[:, :-1] & learned[:, 1:])
    return total


def summed(logits: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    each = -logits.log_softmax(-1).gather(1, targets.reshape(-1, 1))[:, 0]
    return each[counts.flatten()].sum()
