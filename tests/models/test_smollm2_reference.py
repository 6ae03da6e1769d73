"""The default model's own weights: our reading of its file against transformers' on gguf's."""

import numpy as np
import pytest
from smollm2 import GGUF, text_tokens, their_logits, theirs

from farthing import formats, models
from farthing.evaluate.divergence import divergence
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import Activations, bind
from farthing.weight import Matrix


def ours(activations: Activations) -> models.Model:
    checkpoint = formats.open(GGUF)
    tensors: dict[str, Matrix | np.ndarray] = {n: checkpoint.tensor(n) for n in checkpoint.names()}
    return models.load(checkpoint.config, bind(tensors, activations))


def test_fp32_logits_are_those_of_transformers() -> None:
    tokens = text_tokens(48)
    expected = their_logits(theirs(), tokens)
    model = ours("fp32")
    got = model.forward(Step.of([(0, 0, tokens)]), Cache.empty(model.shape.layers))
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_the_engines_arithmetic_loses_little() -> None:
    """Int8 inputs and a bf16 cache, over 192 tokens of English."""
    tokens = text_tokens(192)
    model = ours("int8")
    got = model.forward(Step.of([(0, 0, tokens)]), Cache.empty(model.shape.layers, "native"))
    loss = divergence(their_logits(theirs(), tokens), got)
    assert 1e-5 < loss.mean < 0.008
    assert loss.same_top > 0.93


@pytest.mark.parametrize("field", ["layers", "heads", "kv_heads", "head_dim", "vocabulary"])
def test_its_shape_is_the_one_published(field: str) -> None:
    published = {"layers": 30, "heads": 9, "kv_heads": 3, "head_dim": 64, "vocabulary": 49152}
    assert getattr(ours("fp32").shape, field) == published[field]
