"""DeepSeek's families against transformers, in fp32, on small random checkpoints."""

import numpy as np
import pytest
from deepseek_checkpoints import CASES, made
from oracle import our_logits, our_routing, ours, some_tokens, their_logits, their_routing


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    config, theirs = made(case)
    tokens = some_tokens(100)
    expected = their_logits(theirs, tokens)
    assert np.abs(expected).max() > 3, "the checkpoint says nothing"
    np.testing.assert_allclose(our_logits(ours(config, theirs), tokens), expected, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_tokens_go_to_the_same_experts(case: str) -> None:
    config, theirs = made(case)
    tokens = some_tokens(100)
    expected = their_routing(theirs, tokens)
    assert len({*map(bytes, np.concatenate([ids for ids, _ in expected]))}) >= 8, "all go alike"
    found = our_routing(ours(config, theirs), tokens)
    for (our_ids, our_weights), (ids, weights) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(our_ids, ids)
        np.testing.assert_allclose(our_weights, weights, rtol=1e-4)
