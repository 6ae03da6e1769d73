"""Latent attention: what it keeps of a token, and that absorbing its matrices changes nothing."""

from typing import Any

import numpy as np
import pytest
import torch
from canonical import canonical
from deepseek_checkpoints import LOW, SHARED, YARN, made
from numpy.typing import NDArray
from oracle import checkpoint, our_logits, some_tokens, their_logits

from farthing import models
from farthing.models.deepseek_latent import Latent, LatentAttention, dense_from_hf
from farthing.models.tensors import Tensors
from farthing.ops.record import Recording
from farthing.ops.reference import cos_sin
from farthing.ops.reference_cache import Cache, LayerCache, Step
from farthing.ops.rotation import Rotation

Array = NDArray[np.float64]
CASES = ["V2-Lite", "V2", "V3", "V3, halves", "DeepSeekMoE"]


def in_fp64(case: str) -> Any:
    config, theirs = made(case)
    state = {name: tensor.double().numpy() for name, tensor in theirs.state_dict().items()}
    return models.load(config, canonical(state, config))


@pytest.mark.parametrize("case", CASES)
def test_chunks_are_equal_to_fp64s_last_digits(case: str) -> None:
    model, tokens = in_fp64(case), some_tokens(40)
    whole = our_logits(model, tokens)
    assert whole.dtype == np.float64
    for chunk in (1, 7, 39):
        np.testing.assert_allclose(our_logits(model, tokens, chunk), whole, atol=1e-11)


def test_sequences_of_one_step_do_not_meet() -> None:
    model = in_fp64("V2")
    texts = [some_tokens(n, seed=n) for n in (12, 5, 20)]
    together = Step.of([(i, 0, text) for i, text in enumerate(texts)])
    logits = model.forward(together, Cache.empty(model.shape.layers))
    alone = np.concatenate([our_logits(model, text) for text in texts])
    np.testing.assert_allclose(logits, alone, atol=1e-11)


CONFIG: dict[str, Any] = SHARED | {
    "model_type": "deepseek_v3",
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "max_position_embeddings": 128,
    "rope_parameters": YARN | {"mscale": 1.0},
}
HEADS, RANK, NOPE, ROPE, VALUE = 3, 32, 16, 8, 24


@pytest.mark.parametrize("low", [{}, {"q_lora_rank": 40}])
@pytest.mark.parametrize("interleaved", [True, False])
def test_absorbed_is_the_expanded_form(low: dict[str, int], interleaved: bool) -> None:
    """The page against the paper's formulas with every head's keys and values written out."""
    config = CONFIG | low
    latent = Latent.from_hf(config)
    dense = dense_from_hf(config, latent, interleaved=interleaved)
    random = np.random.default_rng(3)
    wanted = Tensors(None)
    LatentAttention(dense, latent, wanted)
    weights = {name: random.normal(0, 0.3, shape) for name, shape in wanted.taken.items()}
    x, step = random.normal(0, 1, (30, 48)), Step.of([(0, 0, [0] * 30)])
    absorbed = LatentAttention(dense, latent, Tensors(weights))(x, step, LayerCache())
    scale = (NOPE + ROPE) ** -0.5 * (0.1 * 0.707 * np.log(40) + 1) ** 2
    expected = expanded(x, weights, dense.rotation, scale)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(absorbed, expected, atol=1e-10)


def expanded(x: Array, weights: dict[str, Array], rotation: Rotation, scale: float) -> Array:
    w = {name.removesuffix(".weight"): value for name, value in weights.items()}
    count = len(x)
    if "q_a_proj" in w:
        x_q = normalised(x @ w["q_a_proj"].T) * w["q_a_layernorm"]
        q = (x_q @ w["q_b_proj"].T).reshape(count, HEADS, NOPE + ROPE)
    else:
        q = (x @ w["q_proj"].T).reshape(count, HEADS, NOPE + ROPE)
    both = x @ w["kv_a_proj_with_mqa"].T
    c = normalised(both[:, :RANK]) * w["kv_a_layernorm"]
    k_rope = turned(both[:, RANK:], rotation)
    out = []
    for head in range(HEADS):
        k = np.concatenate([c @ w["k_b_proj"][head], k_rope], axis=1)
        mine = np.concatenate([q[:, head, :NOPE], turned(q[:, head, NOPE:], rotation)], axis=1)
        scores = np.where(np.tri(count, dtype=bool), mine @ k.T * scale, -np.inf)
        weight = np.exp(scores - scores.max(1, keepdims=True))
        v = c @ w["v_b_proj"][head].T
        out.append(weight / weight.sum(1, keepdims=True) @ v)
    return np.concatenate(out, axis=1) @ w["o_proj"].T


def normalised(x: Array) -> Array:
    return x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6)


def turned(x: Array, rotation: Rotation) -> Array:
    cos, sin = cos_sin(rotation, np.arange(len(x)))
    if rotation.layout == "interleaved":
        pairs = (x[:, 0::2] + 1j * x[:, 1::2]) * (cos + 1j * sin)
        return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)
    half = x.shape[1] // 2
    pairs = (x[:, :half] + 1j * x[:, half:]) * (cos + 1j * sin)
    return np.concatenate([pairs.real, pairs.imag], axis=1)


def test_a_token_leaves_one_latent_for_all_heads() -> None:
    model, cache = in_fp64("V2"), Cache.empty(3)
    model.forward(Step.of([(0, 0, some_tokens(9))]), cache)
    for layer in cache.layers:
        assert [kept.shape for kept in layer.kept[0]] == [(9, RANK + ROPE)]
    s = model.shape
    assert (s.heads, s.kv_heads, s.head_dim, s.latent) == (HEADS, 1, RANK + ROPE, RANK)


@pytest.mark.parametrize("case", ["V2-Lite", "V2", "V3"])
def test_the_latent_is_made_before_the_queries_are_absorbed(case: str) -> None:
    """So that it can be written to the cache while they still are in the making."""
    config, theirs = made(case)
    model = models.load(config, canonical(theirs.state_dict(), config))
    recording = Recording(config["num_hidden_layers"])
    model.forward(recording, recording)
    names = [(note.name, note.out.width) for note in recording.notes]
    for at, note in enumerate(recording.notes):
        if note.name == "latent_attention":
            made_at = names.index(("join", RANK + ROPE), at - 12)
            assert made_at < names.index(("head_linear", HEADS * RANK), at - 12) < at
            assert note.inputs[1] is recording.notes[made_at].out


def test_torch_tensors_run_the_same_page() -> None:
    config, theirs = made("V3")
    tokens = some_tokens(30)
    model = models.load(config, canonical(theirs.state_dict(), config))
    step = Step.of([(0, 0, tokens)], xp=torch)
    with torch.no_grad():
        logits = model.forward(step, Cache.empty(model.shape.layers))
    assert isinstance(logits, torch.Tensor)
    np.testing.assert_allclose(logits, their_logits(theirs, tokens), atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.kv_b_proj.weight",
        "model.layers.1.self_attn.kv_a_proj_with_mqa.weight",
        "model.layers.1.self_attn.q_a_layernorm.weight",
        "model.layers.1.mlp.gate.weight",
        "model.layers.2.mlp.experts.down_proj",
    ],
)
def test_gradients_flow_through_the_page(name: str) -> None:
    config, theirs = checkpoint("deepseek_v2", **(SHARED | LOW))
    tokens, parameters = some_tokens(20), dict(theirs.named_parameters())
    grads = []
    model = models.load(config, canonical(parameters, config))
    step = Step.of([(0, 0, tokens)], xp=torch)
    for logits in (
        model.forward(step, Cache.empty(model.shape.layers)),
        theirs(torch.tensor([tokens])).logits[0],
    ):
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]))
        grads.append(torch.autograd.grad(loss, parameters[name])[0])
    assert grads[0].abs().max() > 1e-3
    torch.testing.assert_close(grads[0], grads[1], atol=2e-5, rtol=1e-3)
