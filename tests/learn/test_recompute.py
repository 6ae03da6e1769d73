"""Blocks that are run again on the way back give the same bits, and keep less."""

import pytest
import torch

from farthing.learn import recipe
from farthing.learn.corpus import Corpus
from farthing.learn.run import Run
from learn import toy_run

MODELS = {"sparse": toy_run.SPARSE, "llama": toy_run.DENSE, "qwen3": toy_run.QWEN}


@pytest.fixture(autouse=True)
def one_thread():
    """What is kept is counted by hooks, which see the thread that they are set in alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def after_a_step(folder, model, *, recompute: bool):
    more = {"next_token": {}} if model is toy_run.SPARSE else {}
    path = toy_run.recipe(folder, model=model, batch={"recompute": recompute}, **more)
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    run = Run(recipe.read(path), [Corpus.open(folder / "train")])
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        told = run.step()
    return told, run.parameters.weights(), sum(kept)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_step_with_blocks_run_again_is_the_same_to_the_bit(model, tmp_path):
    told, weights, kept = after_a_step(tmp_path, model, recompute=False)
    again, others, fewer = after_a_step(tmp_path, model, recompute=True)
    assert (again.loss, again.norm, again.sequence) == (told.loss, told.norm, told.sequence)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert fewer < kept / 2
