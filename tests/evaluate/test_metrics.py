"""Divergence, same top and perplexity against torch and transformers, on the same logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from toys import VOCABULARY, ids, toy

from farthing.errors import InputError
from farthing.evaluate import divergence
from farthing.evaluate.measure import compare
from farthing.evaluate.opened import open as open_checkpoint
from farthing.evaluate.readings import reference_reading

RNG = np.random.default_rng(5)


def logits(tokens: int = 100, vocabulary: int = 300, spread: float = 4.0) -> np.ndarray:
    return (RNG.standard_normal((tokens, vocabulary)) * spread).astype(np.float32)


def test_kl_is_torchs() -> None:
    p, q, following = logits(), logits(), RNG.integers(0, 300, 100).astype(np.int32)
    (got,) = divergence.tokens(p, [q], following)
    ours, theirs = (torch.log_softmax(torch.from_numpy(x).double(), -1) for x in (q, p))
    expected = torch.nn.functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)
    np.testing.assert_allclose(got.kl, expected.numpy(), rtol=1e-12)
    same = torch.from_numpy(p).argmax(-1) == torch.from_numpy(q).argmax(-1)
    np.testing.assert_array_equal(got.same, same.numpy())
    top = torch.from_numpy(p).double().softmax(-1).max(-1).values
    np.testing.assert_allclose(got.confidence, top.numpy(), rtol=1e-12)


def test_perplexity_is_that_of_transformers(tmp_path: Path) -> None:
    """exp(loss) as transformers gives it for labels, of a model of its own."""
    torch.manual_seed(0)
    shape = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = transformers.LlamaForCausalLM(shape).bfloat16().eval()
    model.save_pretrained(tmp_path / "theirs")
    model = model.float()
    text = ids(65)
    reading = reference_reading(tmp_path / "theirs")
    (got,) = compare(reading, [reading], [text])
    batch = torch.from_numpy(text.astype(np.int64))[None]
    with torch.no_grad():
        loss = model(batch, labels=batch).loss
    assert np.exp(got.surprise.mean()) == pytest.approx(float(loss.exp()), rel=1e-4)
    np.testing.assert_array_equal(got.kl, 0)


def test_tensors_of_a_packed_folder_come_whole_and_dequantized(tmp_path: Path) -> None:
    opened = open_checkpoint(toy(tmp_path / "toy"))
    matrix = opened.floats("model.layers.1.mlp.up_proj.weight")
    assert matrix.shape == (160, 96) and matrix.dtype == np.float32
    assert opened.floats("model.norm.weight").shape == (96,)


def test_several_are_compared_with_one_reference_at_once() -> None:
    p, q, r = logits(), logits(), logits()
    following = np.zeros(100, np.int32)
    both = divergence.tokens(p, [q, r], following)
    for one, alone in zip(both, (q, r), strict=True):
        (expected,) = divergence.tokens(p, [alone], following)
        np.testing.assert_array_equal(one.kl, expected.kl)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whose", ["reference", "measured"])
def test_a_logit_that_is_no_number_is_named(value: float, whose: str) -> None:
    sides = {"reference": logits(), "measured": logits()}
    sides[whose][70, 3] = value
    with pytest.raises(InputError, match=rf"{whose}.* NaN or infinite logits after token 70"):
        divergence.tokens(sides["reference"], [sides["measured"]], np.zeros(100, np.int32))


def test_more_that_follow_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="101 tokens follow 100"):
        divergence.tokens(logits(), [logits()], np.zeros(101, np.int32))
