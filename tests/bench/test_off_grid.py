"""Weights off the grid: a rotated model is the same function, a dithered one near the old."""

import numpy as np
import pytest

from farthing.bench import off_grid
from farthing.errors import FormatError
from farthing.formats.types import Layout
from farthing.weight import Form, Matrix, dense
from models import oracle

Q4_1 = Form(bits=4, group=32, scale="f16", offset="min")


def state_of(theirs):
    return {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}


@pytest.mark.parametrize("tied", [True, False])
def test_a_rotated_model_is_the_same_function(tied):
    config, theirs = oracle.checkpoint("llama", tie_word_embeddings=tied)
    tokens = oracle.some_tokens(40)
    before = oracle.their_logits(theirs, tokens)
    state = state_of(theirs)
    if tied:
        state.pop(off_grid.HEAD)
    turned = off_grid.rotated(config, state, seed=3)
    assert (
        np.abs(
            turned["model.layers.1.mlp.up_proj.weight"]
            - state_of(theirs)["model.layers.1.mlp.up_proj.weight"]
        ).max()
        > 0.1
    )
    _, other = oracle.checkpoint("llama", tie_word_embeddings=False)
    other.load_state_dict({name: oracle.torch.from_numpy(v) for name, v in turned.items()})
    assert np.abs(oracle.their_logits(other, tokens) - before).max() < 1e-4 * np.abs(before).max()


def test_only_plain_llama_is_rotated():
    with pytest.raises(FormatError, match="qwen3"):
        off_grid.rotated({"model_type": "qwen3"}, {}, seed=1)


class Two:
    """A matrix on a grid, and a vector."""

    def __init__(self):
        random = np.random.default_rng(1)
        self.matrix = Matrix(
            form=Q4_1,
            codes=random.integers(0, 16, (8, 64), np.uint8),
            scale=random.uniform(0.5, 2, (8, 2)).astype(np.float16),
            minimum=random.uniform(-9, -5, (8, 2)).astype(np.float16),
        )
        self.tensors = {"w": self.matrix, "v": np.linspace(1, 2, 8, dtype=np.float32)}

    def names(self):
        return list(self.tensors)

    def layout(self, name):
        return Layout((8, 64), Q4_1) if name == "w" else Layout((8,), None)

    def tensor(self, name, rows=slice(None), index=None):
        return self.tensors[name]


def test_dither_fills_half_a_step_each_way_and_leaves_vectors():
    two = Two()
    state = off_grid.dithered(two, seed=5)
    away = (state["w"] - two.matrix.dequantize()) / off_grid.steps("w", two.matrix)
    # a weight of up to 32 rounded to 8 bits adds at most 1/16
    assert 0.45 < np.abs(away).max() < 0.5 + 0.13
    assert abs(away.mean()) < 0.05
    assert (state["v"] == off_grid.rounded(two.tensors["v"])).all()


def test_dither_is_the_seed_s_and_exact_in_bf16():
    one, same, other = (off_grid.dithered(Two(), seed)["w"] for seed in (5, 5, 6))
    assert (one == same).all() and (one != other).any()
    assert (off_grid.rounded(one) == one).all()


def test_bf16_has_no_step_to_dither():
    with pytest.raises(FormatError, match="16-none has no even steps"):
        off_grid.steps("w", dense(np.ones((4, 32), np.float32)))
