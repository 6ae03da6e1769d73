"""What every family's page is held to beside transformers' own. Shared by tests here."""

from typing import Any

import numpy as np
import torch
from canonical import canonical
from oracle import our_logits, our_routing, ours, some_tokens, their_logits, their_routing

from farthing import models
from farthing.ops.reference_cache import Cache, Step


def assert_same_logits(config: dict[str, Any], theirs: Any, count: int = 100) -> None:
    tokens = some_tokens(count)
    expected = their_logits(theirs, tokens)
    assert np.abs(expected).max() > 3, "the checkpoint says nothing"
    np.testing.assert_allclose(our_logits(ours(config, theirs), tokens), expected, atol=1e-4)


def assert_same_experts(config: dict[str, Any], theirs: Any, layers: int) -> None:
    """In all `layers` that have experts: the same ones for each token, by the same weights."""
    tokens = some_tokens(100)
    mine, expected = our_routing(ours(config, theirs), tokens), their_routing(theirs, tokens)
    assert len(mine) == len(expected) == layers
    for (ids, weights), (their_ids, their_weights) in zip(mine, expected, strict=True):
        np.testing.assert_array_equal(ids, their_ids)
        np.testing.assert_allclose(weights, their_weights, atol=1e-5)


def assert_chunks_change_nothing(config: dict[str, Any], theirs: Any) -> None:
    model, tokens = ours(config, theirs), some_tokens(40)
    whole = our_logits(model, tokens)
    for chunk in (1, 3, 7, 39):
        difference = np.abs(our_logits(model, tokens, chunk) - whole).max()
        assert difference < 1e-5 * np.abs(whole).max(), chunk


def assert_torch_runs_it(config: dict[str, Any], theirs: Any) -> None:
    model, tokens = models.load(config, canonical(theirs.state_dict(), config)), some_tokens(30)
    with torch.no_grad():
        step = Step.of([(0, 0, tokens)], xp=torch)
        logits = model.forward(step, Cache.empty(model.shape.layers))
    assert isinstance(logits, torch.Tensor)
    np.testing.assert_allclose(logits, their_logits(theirs, tokens), atol=1e-4)


def told_by(config: dict[str, Any], theirs: Any, ending: str) -> float:
    """How far logits go when the tensors whose names end so are zeroed: are they used at all?"""
    state = canonical({n: t.numpy() for n, t in theirs.state_dict().items()}, config)
    without = {n: np.zeros_like(t) if n.endswith(ending) else t for n, t in state.items()}
    tokens = some_tokens(30)
    whole, poorer = (our_logits(models.load(config, s), tokens) for s in (state, without))
    return float(np.abs(whole - poorer).max())
