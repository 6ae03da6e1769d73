"""Low-rank parts: what they change, what they don't, and what a merge makes of them."""

import pytest
import torch
from tuned_models import BATCH, FAMILIES, base, loss, trained

from farthing import models
from farthing.errors import InputError
from farthing.learn.adapted import Adapted
from farthing.learn.fast import Fast
from farthing.learn.lora import Adapter, modules, targeted
from farthing.learn.losses import losses


@pytest.fixture(params=FAMILIES)
def model(request, tmp_path):
    return base(tmp_path / request.param, request.param)


def test_a_fresh_part_changes_nothing_to_the_bit(model):
    adapter = Adapter.fresh(model.config, ("all-linear",), rank=4, alpha=8, seed=0)

    merged = adapter.merged(model.weights)

    assert merged.keys() == model.weights.keys()
    for name, tensor in merged.items():
        assert torch.equal(tensor, model.weights[name]), name


def test_a_fresh_part_leaves_a_dense_models_loss_to_the_bit(tmp_path):
    model = base(tmp_path / "llama", "llama")
    adapter = Adapter.fresh(model.config, ("all-linear",), rank=4, alpha=8, seed=0)

    before = losses(model.config, model.weights, BATCH, reading=Fast).main
    after = loss(model.config, adapter.beside(model.weights, torch.float32))

    assert torch.equal(before, after)


def test_merged_is_applied(model):
    adapter = trained(model)

    plain = loss(model.config, model.weights)
    applied = loss(model.config, adapter.beside(model.weights, torch.float32)).detach()
    merged = loss(model.config, adapter.merged(model.weights))

    assert abs(float(applied - plain)) > 1
    torch.testing.assert_close(applied, merged, rtol=1e-5, atol=1e-4)


def test_gradients_of_parts_are_those_of_the_sum(model):
    """d/dA of W + s B A is s B^T G, where G is the gradient of the sum, which autograd makes."""
    adapter = trained(model)
    loss(model.config, adapter.beside(model.weights, torch.float32)).backward()
    sums = {name: w.detach().requires_grad_() for name, w in adapter.merged(model.weights).items()}
    loss(model.config, sums).backward()

    for name, part in adapter.parts.items():
        if name.endswith("kv_b_proj"):
            continue  # two tensors of the page: the next test
        grad = sums[f"{name}.weight"].grad
        for mine, theirs in (
            (part.a.grad, part.scale * part.b.mT @ grad),
            (part.b.grad, part.scale * grad @ part.a.mT),
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4 * float(grad.abs().max()))


def test_the_part_of_a_latent_learns_through_both_of_its_halves(tmp_path):
    model = base(tmp_path / "v3", "deepseek_v3")
    adapter = trained(model, "kv_b_proj")
    loss(model.config, adapter.beside(model.weights, torch.float32)).backward()
    part = next(iter(adapter.parts.values()))

    step = 1e-2 * part.b.grad / part.b.grad.norm()
    told = float((step * part.b.grad).sum())
    with torch.no_grad():
        part.b.add_(step / 2)
        ahead = loss(model.config, adapter.beside(model.weights, torch.float32))
        part.b.sub_(step)
        behind = loss(model.config, adapter.beside(model.weights, torch.float32))

    assert float(ahead - behind) == pytest.approx(told, rel=0.02)


def test_all_matrices_of_the_blocks_but_routers_may_be_adapted(model):
    tensors = models.tensors_of(model.config)
    taken = {name for name, shape in tensors.items() if len(shape) > 1 and ".layers." in name}
    left = {name for name in taken if name.removesuffix(".weight") not in modules(model.config)}

    for name in left:
        assert name.endswith(("gate.weight", "_b_proj.weight"))


def test_targets_are_the_ends_of_names(tmp_path):
    config = base(tmp_path / "m", "mixtral").config
    found = {target: list(targeted(config, (target,))) for target in ("w1", "q_proj", "down_proj")}

    assert found["w1"][0] == "model.layers.0.mlp.experts.gate_proj"
    assert all(name.endswith("self_attn.q_proj") for name in found["q_proj"])
    assert all(name.endswith("experts.down_proj") for name in found["down_proj"])


def test_a_target_that_names_nothing_is_refused_with_what_there_is(tmp_path):
    config = base(tmp_path / "l", "llama").config
    for target in ("proj", "lm_head", "embed_tokens", "mlp.gate", "k_b_proj"):
        with pytest.raises(InputError, match=r"names no matrix .* down_proj"):
            targeted(config, (target,))


def test_what_has_no_part_keeps_its_own_op(tmp_path):
    """Attention alone adapted: experts run as they do in pretraining."""
    model = base(tmp_path / "m", "qwen3_moe")
    adapter = Adapter.fresh(model.config, ("q_proj",), rank=2, alpha=4, seed=0)
    weights = adapter.beside(model.weights, torch.float32)
    plain = losses(model.config, model.weights, BATCH, reading=Fast).main

    assert torch.equal(losses(model.config, weights, BATCH, reading=Adapted).main, plain)
