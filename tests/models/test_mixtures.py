"""Qwen2-MoE, Qwen3-MoE, Mixtral and OLMoE against transformers: logits, and experts picked."""

from typing import Any

import numpy as np
import pytest
import torch
from canonical import canonical
from oracle import (
    checkpoint,
    our_logits,
    our_routing,
    ours,
    some_tokens,
    their_logits,
    their_routing,
)

from farthing import models
from farthing.ops.reference_cache import Cache, Step

FOUR: dict[str, Any] = {
    "num_hidden_layers": 4,
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 24,
}
QWEN2 = FOUR | {"shared_expert_intermediate_size": 40}
MIXED = ["sliding_attention", "full_attention"] * 2
OLMOE: dict[str, Any] = {
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "pad_token_id": None,
    "eos_token_id": None,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_moe": ("qwen3_moe", FOUR | {"head_dim": 24, "norm_topk_prob": True}),
    "qwen3_moe, heads as wide as the rest allows": ("qwen3_moe", FOUR),
    "qwen3_moe, every second layer, but the last": (
        "qwen3_moe",
        FOUR | {"decoder_sparse_step": 2, "mlp_only_layers": [3]},
    ),
    "qwen3_moe, window, biases, tied": (
        "qwen3_moe",
        FOUR
        | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2}
        | {"attention_bias": True, "tie_word_embeddings": True},
    ),
    "qwen3_moe, one expert a token": ("qwen3_moe", FOUR | {"num_experts_per_tok": 1}),
    "qwen3_moe, all experts": ("qwen3_moe", FOUR | {"num_experts_per_tok": 8}),
    "qwen2_moe": ("qwen2_moe", QWEN2),
    "qwen2_moe, normalised, every second layer": (
        "qwen2_moe",
        QWEN2 | {"decoder_sparse_step": 2, "norm_topk_prob": True, "num_key_value_heads": 3},
    ),
    "qwen2_moe, mixed windows, no biases": (
        "qwen2_moe",
        QWEN2
        | {"use_sliding_window": True, "sliding_window": 5, "layer_types": MIXED}
        | {"qkv_bias": False, "mlp_only_layers": [0]},
    ),
    "mixtral": ("mixtral", {"num_local_experts": 4}),
    "mixtral, window, head_dim 24": (
        "mixtral",
        {"num_local_experts": 6, "num_experts_per_tok": 3, "sliding_window": 5, "head_dim": 24},
    ),
    "olmoe": ("olmoe", OLMOE),
    "olmoe, normalised, biases, every head its own keys": (
        "olmoe",
        OLMOE | {"norm_topk_prob": True, "attention_bias": True, "num_key_value_heads": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_mixtures_have_the_logits_of_transformers(case: str) -> None:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    tokens = some_tokens(100)
    expected = their_logits(theirs, tokens)
    assert np.abs(expected).max() > 3, "the checkpoint says nothing"
    np.testing.assert_allclose(our_logits(ours(config, theirs), tokens), expected, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_mixtures_pick_the_experts_that_transformers_picks(case: str) -> None:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    tokens = some_tokens(100)
    routes = their_routing(theirs, tokens)
    assert routes, "no layer of experts"
    for (ids, weights), mine in zip(routes, our_routing(ours(config, theirs), tokens), strict=True):
        np.testing.assert_array_equal(mine[0], ids)
        np.testing.assert_allclose(mine[1], weights, atol=1e-5)


def test_all_tokens_may_want_the_same_experts() -> None:
    """One number of the stream is large and equal in all tokens, and routers go by it alone."""
    config, theirs = checkpoint("qwen3_moe", **FOUR)
    with torch.no_grad():
        theirs.model.embed_tokens.weight[:, 0] = 256
        for layer in theirs.model.layers:
            layer.post_attention_layernorm.weight[0] = 1
            layer.mlp.gate.weight[:] = 0
            layer.mlp.gate.weight[:, 0] = torch.tensor([0, 2, -1, -1, 3, 0, -2, 1])
    model, tokens = ours(config, theirs), some_tokens(64)
    for ids, _ in our_routing(model, tokens):
        assert (ids == [1, 4, 7]).all()
    np.testing.assert_allclose(
        our_logits(model, tokens), their_logits(theirs, tokens), atol=1e-4, rtol=1e-5
    )


WHOLE_AND_PARTS = [
    "qwen3_moe, window, biases, tied",
    "qwen2_moe",
    "mixtral, window, head_dim 24",
    "olmoe",
]


@pytest.mark.parametrize("case", WHOLE_AND_PARTS)
def test_chunks_route_and_answer_as_one_pass_does(case: str) -> None:
    """In fp64: the page itself mixes up no tokens, however they are gathered by expert."""
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    state = {name: t.double().numpy() for name, t in theirs.state_dict().items()}
    model, tokens = models.load(config, canonical(state, config)), some_tokens(40)
    whole = our_logits(model, tokens)
    assert whole.dtype == np.float64
    for chunk in (1, 7, 39):
        np.testing.assert_allclose(our_logits(model, tokens, chunk), whole, atol=1e-11)


def test_sequences_share_experts_and_nothing_else() -> None:
    config, theirs = checkpoint("qwen2_moe", **QWEN2)
    model = ours(config, theirs)
    texts = [some_tokens(n, seed=n) for n in (12, 5, 20)]
    alone = [our_logits(model, text) for text in texts]
    step = Step.of([(i, 0, text) for i, text in enumerate(texts)])
    together = model.forward(step, Cache.empty(model.shape.layers))
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-4)


@pytest.mark.parametrize("case", WHOLE_AND_PARTS)
def test_torch_runs_the_pages_of_mixtures(case: str) -> None:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    model, tokens = models.load(config, canonical(theirs.state_dict(), config)), some_tokens(30)
    with torch.no_grad():
        logits = model.forward(Step.of([(0, 0, tokens)], xp=torch), Cache.empty(model.shape.layers))
    assert isinstance(logits, torch.Tensor)
    np.testing.assert_allclose(logits, their_logits(theirs, tokens), atol=1e-4)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("qwen3_moe", "mlp.gate.weight"),
        ("qwen3_moe", "mlp.experts.gate_up_proj"),
        ("qwen2_moe", "mlp.experts.down_proj"),
        ("qwen2_moe", "mlp.shared_expert_gate.weight"),
        ("mixtral", "self_attn.k_proj.weight"),
    ],
)
def test_gradients_of_mixtures_are_those_of_transformers(case: str, name: str) -> None:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    tokens = some_tokens(20)
    parameters = dict(theirs.named_parameters())
    model = models.load(config, canonical(parameters, config))
    wanted = parameters[f"model.layers.1.{name}"]
    grads = []
    for logits in (
        model.forward(Step.of([(0, 0, tokens)], xp=torch), Cache.empty(model.shape.layers)),
        theirs(torch.tensor([tokens])).logits[0],
    ):
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]))
        grads.append(torch.autograd.grad(loss, wanted)[0])
    assert grads[0].abs().max() > 1e-3
    torch.testing.assert_close(grads[0], grads[1], atol=1e-4, rtol=1e-3)
