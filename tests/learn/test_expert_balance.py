"""Loads even out by corrections alone; the sequence-wise loss is the paper's."""

import numpy as np
import pytest
import torch
from packed_rows import packed
from toy_models import DOCUMENTS, VOCABULARY, leaves, made

from farthing.learn import balance
from farthing.learn.fast import Fast
from farthing.learn.losses import losses
from farthing.ops.mixture import Router
from farthing.ops.reference import route

ROUTER = Router(experts=16, top_k=4, score="sigmoid", normalise=True)


def load_of(logits: torch.Tensor, correction: torch.Tensor) -> torch.Tensor:
    return torch.bincount(route(logits, ROUTER, correction).ids.flatten(), minlength=16)


@pytest.mark.parametrize(("rate", "proportional"), [(5e-3, False), (3e-2, True)])
def test_a_skewed_router_is_evened_out(rate: float, proportional: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    skew, correction = torch.linspace(-2, 2, 16), torch.zeros(16)
    loads = []
    for _ in range(300):
        logits = skew + 0.5 * torch.randn(512, 16, generator=generator)
        load = load_of(logits, correction)
        loads.append(load)
        balance.corrected(correction, load, rate, proportional=proportional)
    assert balance.imbalance(loads[0]) > 3.5
    assert max(map(balance.imbalance, loads[-20:])) < 1.4, "512 tokens leave some chance"
    assert balance.imbalance(torch.stack(loads[-20:]).sum(0)) < 1.05
    assert (correction[:-1] > correction[1:]).float().mean() > 0.8, "the favoured go down"


def test_an_even_load_moves_nothing() -> None:
    correction = torch.zeros(4)
    balance.corrected(correction, torch.tensor([7, 7, 7, 7]), 1e-3)
    assert torch.equal(correction, torch.zeros(4))


def test_a_step_is_the_rate_whatever_the_load() -> None:
    correction = torch.tensor([0.5, 0.5, 0.5])
    balance.corrected(correction, torch.tensor([100, 2, 0]), 0.125)
    assert correction.tolist() == [0.375, 0.625, 0.625]


def test_a_proportional_step_is_as_long_as_the_load_is_off_and_the_rate_at_most() -> None:
    correction = torch.tensor([0.5, 0.5, 0.5, 0.5])
    balance.corrected(correction, torch.tensor([40, 10, 5, 5]), 0.5, proportional=True)
    balance.corrected(correction, torch.zeros(4), 0.5, proportional=True)  # nobody was chosen
    assert [round(x, 6) for x in correction.tolist()] == [0.0, 0.666667, 0.833333, 0.833333]


def test_loads_too_large_for_fp32_are_still_compared() -> None:
    """Whole batches count to where fp32 has no odd numbers."""
    correction, many = torch.zeros(2), 1 << 30
    balance.corrected(correction, torch.tensor([many, many + 2]), 1.0)
    assert correction.tolist() == [1.0, -1.0]


def test_imbalance_is_the_largest_over_the_mean() -> None:
    assert balance.imbalance(torch.tensor([3, 3, 3])) == 1.0
    assert balance.imbalance(torch.tensor([8, 0, 4])) == 2.0
    assert balance.imbalance(torch.zeros(3)) == 1.0


def test_the_sequence_loss_is_its_definition() -> None:
    """DeepSeek-V3, 2412.19437, equations 17 to 20, term by term."""
    rng, sequences, length, experts, top_k = np.random.default_rng(0), 3, 7, 5, 2
    scores = 1 / (1 + np.exp(-rng.normal(size=(sequences * length, experts))))
    chosen = np.zeros_like(scores)
    for token, ids in enumerate(rng.random(scores.shape).argsort(1)[:, :top_k]):
        chosen[token, ids] = 1
    total = 0.0
    for sequence in range(sequences):
        tokens = range(sequence * length, (sequence + 1) * length)
        for i in range(experts):
            f = experts / (top_k * length) * sum(chosen[t, i] for t in tokens)
            p = sum(scores[t, i] / scores[t].sum() for t in tokens) / length
            total += f * p
    got = balance.sequence_loss(
        torch.from_numpy(scores), torch.from_numpy(chosen), sequences, top_k
    )
    np.testing.assert_allclose(float(got), total / sequences, rtol=1e-12)


def test_it_is_of_the_scores_before_correction_and_of_the_choice_after() -> None:
    batch = packed([[12], [5, 7]], VOCABULARY)
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(20, 16, generator=generator)
    correction = torch.randn(16, generator=generator)
    fast = Fast(batch)
    ids = fast.route(logits, ROUTER, correction).ids
    chosen = torch.zeros(20, 16).scatter_(1, ids, 1.0)
    (got,) = fast.sequence_losses.values()
    torch.testing.assert_close(got, balance.sequence_loss(logits.sigmoid(), chosen, 2, 4))


def test_even_loads_have_a_sequence_loss_of_one() -> None:
    chosen = torch.eye(4).repeat(3, 1)
    got = balance.sequence_loss(torch.full((12, 4), 0.3), chosen, 3, 1)
    torch.testing.assert_close(got, torch.tensor(1.0))


def test_a_pass_tells_loads_and_the_sequence_loss_of_all_layers() -> None:
    config, theirs = made("V3, tied, scaled")
    weights = leaves(theirs.state_dict(), config)
    batch = packed(DOCUMENTS, VOCABULARY)
    found = losses(config, weights, batch)
    (name,) = (name for name in weights if name.endswith("e_score_correction_bias"))
    assert list(found.loads) == [name]
    assert int(found.loads[name].sum()) == batch.tokens.numel() * 3
    assert found.sequence is not None
    found.sequence.backward()
    moved = {name for name, weight in weights.items() if weight.grad is not None}
    assert name.replace("e_score_correction_bias", "weight") in moved
    assert not any("experts" in name for name in moved), "of a mixture only its router is moved"
