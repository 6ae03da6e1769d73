"""The NumPy reading of each family against transformers, in fp32, on small random checkpoints."""

from typing import Any

import numpy as np
import pytest
from oracle import checkpoint, our_logits, ours, some_tokens, their_logits

from farthing import models
from farthing.ops.reference_cache import Cache, Step

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
}
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, 3 heads on 1": ("llama", {}),
    "llama, tied": ("llama", {"tie_word_embeddings": True}),
    "llama, every head its own keys": ("llama", {"num_key_value_heads": 3}),
    "llama, 6 heads on 2": ("llama", {"num_attention_heads": 6, "num_key_value_heads": 2}),
    "llama, head_dim 40": ("llama", {"head_dim": 40}),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, linear": (
        "llama",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}},
    ),
    "llama, llama3": ("llama", {"rope_parameters": LLAMA3}),
    "llama, yarn": ("llama", {"rope_parameters": YARN}),
    "llama, yarn with mscale": (
        "llama",
        {"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.3, "truncate": False}},
    ),
    "mistral, window 7": ("mistral", {"sliding_window": 7}),
    "mistral, no window": ("mistral", {"sliding_window": None}),
    "qwen2": ("qwen2", {}),
    "qwen2, window on the last layers": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    ),
    "qwen3, 72 wide heads from 48": ("qwen3", {"head_dim": 24, "tie_word_embeddings": True}),
    "qwen3, biases, mixed windows": (
        "qwen3",
        {
            "head_dim": 24,
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 5,
            "layer_types": MIXED,
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    tokens = some_tokens(100)
    expected = their_logits(theirs, tokens)
    assert np.abs(expected).max() > 3, "the checkpoint says nothing"
    np.testing.assert_allclose(our_logits(ours(config, theirs), tokens), expected, atol=1e-4)


@pytest.mark.parametrize("case", ["llama, llama3", "qwen2, window on the last layers"])
def test_an_old_config_reads_the_same(case: str) -> None:
    """rope_theta and rope_scaling of transformers 4, with `type` for `rope_type`."""
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    rope = dict(config["rope_parameters"])
    old = {k: v for k, v in config.items() if k not in ("rope_parameters", "layer_types")}
    old |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": None}
    if rope["rope_type"] != "default":
        old["rope_scaling"] = {"type": rope.pop("rope_type")} | rope
    tokens = some_tokens(40)
    new_way, old_way = (our_logits(ours(c, theirs), tokens) for c in (config, old))
    np.testing.assert_array_equal(new_way, old_way)


@pytest.mark.parametrize(
    "case", ["llama, yarn", "mistral, window 7", "qwen3, biases, mixed windows"]
)
def test_chunks_of_any_size_give_the_same_logits(case: str) -> None:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    model, tokens = ours(config, theirs), some_tokens(40)
    whole = our_logits(model, tokens)
    for chunk in (1, 3, 7, 39):
        difference = np.abs(our_logits(model, tokens, chunk) - whole).max()
        assert difference < 1e-5 * np.abs(whole).max(), chunk


def test_chunks_are_equal_to_fp64s_last_digits() -> None:
    """In fp64 nothing but rounding is left: the page itself mixes up no positions."""
    config, theirs = checkpoint("mistral", sliding_window=7)
    weights = {name: t.double().numpy() for name, t in theirs.state_dict().items()}
    model, tokens = models.load(config, weights), some_tokens(40)
    whole = our_logits(model, tokens)
    assert whole.dtype == np.float64
    for chunk in (1, 7):
        np.testing.assert_allclose(our_logits(model, tokens, chunk), whole, atol=1e-12)


def test_sequences_of_one_step_do_not_meet() -> None:
    config, theirs = checkpoint("qwen3", head_dim=16)
    model = ours(config, theirs)
    texts = [some_tokens(n, seed=n) for n in (12, 5, 20)]
    alone = [our_logits(model, text) for text in texts]
    cache = Cache.empty(model.shape.layers)
    half = [len(text) // 2 for text in texts]
    first = Step.of([(i, 0, t[:h]) for i, (t, h) in enumerate(zip(texts, half, strict=True))])
    model.forward(first, cache)
    # the second halves come in another order, and only each one's last row is wanted
    rest = [(i, half[i], texts[i][half[i] :]) for i in (2, 0, 1)]
    ends = np.cumsum([len(new) for _, _, new in rest]) - 1
    last = model.forward(Step.of(rest, rows=ends.tolist()), cache)
    for row, i in zip(last, (2, 0, 1), strict=True):
        np.testing.assert_allclose(row, alone[i][-1], atol=1e-4)


def test_the_past_may_be_written_again() -> None:
    """A position given twice (a rejected draft, say) holds what came last."""
    config, theirs = checkpoint("llama")
    model, tokens = ours(config, theirs), some_tokens(20)
    cache = Cache.empty(model.shape.layers)
    model.forward(Step.of([(0, 0, tokens[:10] + some_tokens(5, seed=9))]), cache)
    again = model.forward(Step.of([(0, 10, tokens[10:])]), cache)
    np.testing.assert_allclose(again, our_logits(model, tokens)[10:], atol=1e-4)


def test_torch_tensors_run_the_same_page() -> None:
    config, theirs = checkpoint("qwen3", head_dim=24, use_sliding_window=True, sliding_window=5)
    torch = pytest.importorskip("torch")
    weights = theirs.state_dict()
    tokens = some_tokens(30)
    model = models.load(config, weights)
    step = Step.of([(0, 0, tokens)], xp=torch)
    with torch.no_grad():
        logits = model.forward(step, Cache.empty(model.shape.layers))
    assert isinstance(logits, torch.Tensor)
    np.testing.assert_allclose(logits, their_logits(theirs, tokens), atol=1e-4)


def test_gradients_flow_through_the_page() -> None:
    """The same text is what training runs: the loss's gradient is transformers' own."""
    config, theirs = checkpoint("llama", tie_word_embeddings=True)
    torch = pytest.importorskip("torch")
    tokens = some_tokens(20)
    parameters = dict(theirs.named_parameters())
    name = "model.layers.0.self_attn.k_proj.weight"
    grads = []
    for logits in (
        models.load(config, parameters).forward(
            Step.of([(0, 0, tokens)], xp=torch), Cache.empty(config["num_hidden_layers"])
        ),
        theirs(torch.tensor([tokens])).logits[0],
    ):
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]))
        grads.append(torch.autograd.grad(loss, parameters[name])[0])
    assert grads[0].abs().max() > 1e-3
    torch.testing.assert_close(grads[0], grads[1], atol=1e-5, rtol=1e-4)
