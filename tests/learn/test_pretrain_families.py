"""A step trains whatever family the fast ops read, dense or mixed, by Muon or AdamW alone."""

import pytest
import torch

from farthing.learn import recipe, work
from farthing.learn.corpus import Corpus
from farthing.learn.losses import losses
from farthing.learn.run import Run, imbalances
from learn import toy_run

DENSE = toy_run.DENSE
SMALL = {"num_experts_per_tok": 2, "moe_intermediate_size": 16, "norm_topk_prob": True}
SHARED = {"n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1}
FAMILIES = {
    "deepseek_v3": toy_run.SPARSE,
    "llama": DENSE,
    "mistral": DENSE | {"sliding_window": 8},
    "qwen2": DENSE,
    "qwen3": toy_run.QWEN,
    "qwen3_moe": DENSE | SMALL | {"num_experts": 8, "head_dim": 8},
    "olmoe": DENSE | {"num_experts": 8, "num_experts_per_tok": 2},
    "mixtral": DENSE | {"num_local_experts": 8, "num_experts_per_tok": 2},
    "deepseek": DENSE | SMALL | SHARED,
    "glm4_moe": DENSE
    | SMALL
    | SHARED
    | {"routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "head_dim": 8},
}
ROUTERS = {
    "deepseek_v3": ["1"],
    "glm4_moe": ["1"],
    "deepseek": ["router 1"],
    "qwen3_moe": ["router 1", "router 2"],
    "olmoe": ["router 1", "router 2"],
    "mixtral": ["router 1", "router 2"],
}


@pytest.mark.parametrize("matrices", ["muon", "adamw"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_few_steps_learn_something(family, matrices, tmp_path):
    model = FAMILIES[family] | {"model_type": family}
    made = toy_run.recipe(tmp_path, 8, model=model, optimizer={"matrices": matrices})
    run = Run(recipe.read(made), [Corpus.open(tmp_path / "train")])
    told = [run.step() for _ in range(6)]
    assert told[-1].loss < told[0].loss - 0.1
    assert list(imbalances(told[-1].loads)) == ROUTERS.get(family, [])
    assert (told[0].sequence is None) == (family not in ROUTERS)
    total = sum(weight.numel() for weight in run.parameters.weights().values())
    assert work.count(model, next_token=False).parameters == total


def test_the_gradient_is_that_of_the_losses_means(tmp_path, monkeypatch):
    """Main, next-token and sequence-wise, each a mean over what counts of the whole batch."""
    still = {"optimizer": {"clip": 0.0}, "balance": {"rate": 0.0}}
    path = toy_run.recipe(tmp_path, dtype="fp32", next_token={}, **still)
    plan = recipe.read(path)
    run = Run(plan, [Corpus.open(tmp_path / "train")])
    monkeypatch.setattr(run.optimizers, "step", lambda rate: None)
    told = run.step()
    weights = run.parameters.weights()
    batch = run.rows.take(0, plan.rows)
    found = losses(plan.model, weights, batch)
    main = found.main / batch.learned[:, :-1].sum()
    further = found.next_token / (batch.learned[:, :-1] & batch.learned[:, 1:]).sum()
    torch.testing.assert_close(
        torch.tensor([told.loss, told.next_token]), torch.stack([main, further]).detach()
    )
    total = main + 0.3 * further + 1e-4 * found.sequence
    names = [name for name, weight in weights.items() if weight.requires_grad]
    expected = torch.autograd.grad(total, [weights[name] for name in names])
    for name, gradient in zip(names, expected, strict=True):
        torch.testing.assert_close(weights[name].grad, gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_a_batch_in_parts_is_the_same_step(tmp_path):
    """Gradients of the parts are added: fp32, so that only the order of sums differs."""
    weights = []
    for together in (32, 256):
        batch = {"tokens": 256, "together": together}
        path = toy_run.recipe(tmp_path, dtype="fp32", batch=batch, next_token={})
        run = Run(recipe.read(path), [Corpus.open(tmp_path / "train")])
        # one sequence-wise loss is a mean over parts of equal size, so it is the same too
        run.step()
        weights.append(run.parameters.weights())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][name], rtol=2e-2, atol=2e-4, msg=name)
