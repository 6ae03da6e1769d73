"""A step trains whatever family the fast ops read, dense or mixed, by Muon or AdamW alone."""

import pytest
import torch

from farthing.learn import recipe, work
from farthing.learn.corpus import Corpus
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
