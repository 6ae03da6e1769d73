"""Latent attention, sinks and the ops that carry heads there, by their definitions."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from farthing import weight
from farthing.ops import reference
from farthing.ops.reference_cache import Arithmetic, LayerCache, Step
from farthing.ops.reference_linear import bind, quantize

RNG = np.random.default_rng(19)
KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def attend(kind: Any, q: Any, latent: Any, layer: LayerCache, position: int = 0) -> Any:
    """Two heads on latents of 12, whose first 8 numbers are the value."""
    xp = np if kind is np.asarray else torch
    step = Step.of([(5, position, [0] * len(q))], xp=xp)
    settings: Any = {"heads": 2, "width": 8, "scale": 0.3}
    got = reference.latent_attention(kind(q), kind(latent), step, layer, **settings)
    assert isinstance(got, type(kind(q)))
    return np.asarray(got)


@KINDS
@pytest.mark.parametrize("chunk", [1, 4, 9])
def test_every_head_sees_one_latent(kind: Any, chunk: int) -> None:
    q, latent = normal(9, 2 * 12), normal(9, 12)
    layer = LayerCache()
    got = np.concatenate(
        [
            attend(kind, q[i : i + chunk], latent[i : i + chunk], layer, i)
            for i in range(0, 9, chunk)
        ]
    )
    for i in range(9):
        for head in range(2):
            past = latent[: i + 1].astype(np.float64)
            weights = np.exp(past @ q[i, head * 12 : head * 12 + 12] * 0.3)
            expected = weights / weights.sum() @ past[:, :8]
            np.testing.assert_allclose(got[i, head * 8 : head * 8 + 8], expected, atol=1e-5)
    assert [array.shape for array in layer.kept[5]] == [(9, 12)]


def test_a_latent_given_twice_holds_what_came_last() -> None:
    q, latent, layer = normal(6, 24), normal(6, 12), LayerCache()
    attend(np.asarray, q, np.concatenate([latent[:4], normal(2, 12)]), layer)
    got = attend(np.asarray, q[4:], latent[4:], layer, 4)
    np.testing.assert_allclose(got, attend(np.asarray, q, latent, LayerCache())[4:], atol=1e-6)


def test_native_latents_and_queries_are_bf16() -> None:
    """Rounding them beforehand changes nothing; the fp32 reading says something else."""

    def rounded(x: Any) -> Any:
        return weight.bf16_to_f32(weight.f32_to_bf16(x))

    def of(q: Any, latent: Any, arithmetic: Arithmetic) -> Any:
        return attend(np.asarray, q, latent, LayerCache(arithmetic))

    q, latent = normal(6, 24), normal(6, 12)
    native = of(q, latent, "native")
    np.testing.assert_array_equal(native, of(rounded(q), rounded(latent), "native"))
    assert np.abs(native - of(q, latent, "fp32")).max() > 1e-4


@KINDS
@pytest.mark.parametrize("sink", [-50.0, 0.0, 4.0, 200.0])
def test_a_sink_takes_weight_and_gives_nothing(kind: Any, sink: float) -> None:
    """One more key, whose value is zero."""
    xp = np if kind is np.asarray else torch
    q, k, v = normal(5, 3 * 8), normal(5, 8), normal(5, 8)
    sinks = np.array([sink, 0.5 * sink, 1.0], np.float32)
    got = reference.attention(
        kind(q),
        kind(k),
        kind(v),
        Step.of([(0, 0, [0] * 5)], xp=xp),
        LayerCache(),
        heads=3,
        kv_heads=1,
        scale=0.3,
        window=3,
        sinks=kind(sinks),
    )
    for i in range(5):
        for head in range(3):
            part = slice(max(0, i - 2), i + 1)
            scores = k[part].astype(np.float64) @ q[i, head * 8 : head * 8 + 8] * 0.3
            weights = np.exp(scores) / (np.exp(scores).sum() + np.exp(np.float64(sinks[head])))
            np.testing.assert_allclose(
                got[i, head * 8 : head * 8 + 8], weights @ v[part], atol=1e-5
            )


@KINDS
def test_each_head_meets_its_own_matrix(kind: Any) -> None:
    x, stack = normal(5, 3 * 8), normal(3, 4, 8)
    got = reference.head_linear(kind(x), kind(stack))
    expected = np.einsum("thk,hnk->thn", x.reshape(5, 3, 8), stack)
    np.testing.assert_allclose(got, expected.reshape(5, 12), atol=1e-5)


def test_heads_are_rounded_each_by_itself() -> None:
    """Blocks of 32 begin anew in each head: 40 wide heads do not share one."""
    form = weight.Form(bits=8, group=32, scale="f32", offset="none")
    codes = RNG.integers(0, 256, (3, 4, 40)).astype(np.uint8)
    scale = RNG.uniform(0.001, 0.002, (3, 4, 2)).astype(np.float32)
    heads = [weight.Matrix(form=form, codes=c, scale=s) for c, s in zip(codes, scale, strict=True)]
    x = normal(5, 3 * 40)
    got = reference.head_linear(x, bind({"w": heads}, "int8")["w"])
    for i, head in enumerate(heads):
        part, scales = quantize(x[:, i * 40 : i * 40 + 40])
        rounded = part * np.repeat(scales, 32, 1)[:, :40]
        expected = rounded @ head.dequantize().T
        np.testing.assert_allclose(got[:, i * 4 : i * 4 + 4], expected, atol=1e-5)


def test_a_precise_linear_rounds_no_input() -> None:
    """Where the same weight, without that word, meets bf16 inputs."""
    matrix, x, bias = weight.dense(normal(5, 40)), normal(2, 40), normal(5)
    bound = bind({"a": matrix}, "int8")["a"]
    exact = x.astype(np.float64) @ matrix.dequantize().T + bias
    got = reference.linear(x, bound, bias, precise=True)
    np.testing.assert_allclose(got, exact, atol=1e-5)
    assert np.abs(reference.linear(x, bound, bias) - exact).max() > 1e-3


@KINDS
def test_parts_of_heads_are_taken_and_joined(kind: Any) -> None:
    x = normal(4, 3 * 10)
    left = reference.part(kind(x), heads=3, begin=0, end=4)
    right = reference.part(kind(x), heads=3, begin=4, end=10)
    np.testing.assert_array_equal(right, x.reshape(4, 3, 10)[:, :, 4:].reshape(4, 18))
    np.testing.assert_array_equal(reference.join(left, right, heads=3), x)
    np.testing.assert_array_equal(reference.scale(kind(x), 0.5), x / 2)
