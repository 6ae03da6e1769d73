"""The fast ops of calibration say what the array reading says."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from farthing import ops
from farthing.ops.mixture import Activation
from farthing.ops.reference_cache import LayerCache, Step
from farthing.ops.reference_mixture import gated
from farthing.ops.rotation import rotation_from_hf
from farthing.quantize import swift

LENGTHS = (7, 7, 40, 3)


def numbers(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def step() -> Step:
    return Step.of([(i, 0, [0] * length) for i, length in enumerate(LENGTHS)])


@pytest.mark.parametrize("block", [16, 384])
@pytest.mark.parametrize("window", [0, 1, 5])
@pytest.mark.parametrize("sinks", [False, True])
def test_attention_is_the_reference(
    block: int, window: int, sinks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swift, "BLOCK", block)
    q, k, v = numbers(57, 6 * 8), numbers(57, 2 * 8, seed=2), numbers(57, 2 * 8, seed=3)
    sink = 3 * numbers(6) if sinks else None
    settings = {"heads": 6, "kv_heads": 2, "scale": 0.7, "window": window, "sinks": sink}
    theirs = ops.attention(q, k, v, step(), LayerCache(), **settings)
    np.testing.assert_allclose(
        swift.attention(q, k, v, LENGTHS, **settings), theirs, rtol=2e-5, atol=2e-6
    )


def test_latents_are_keys_and_values() -> None:
    q, latent = numbers(57, 3 * 16), numbers(57, 16, seed=2)
    theirs = ops.latent_attention(q, latent, step(), LayerCache(), heads=3, width=10, scale=0.3)
    ours = swift.attention(q, latent, latent[:, :10], LENGTHS, heads=3, kv_heads=1, scale=0.3)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("part", [1.0, 0.5])
@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_rope_is_the_reference(part: float, layout: str) -> None:
    rotation = rotation_from_hf({"partial_rotary_factor": part}, 8)
    rotation = replace(rotation, layout=layout)
    x, positions = numbers(57, 24), step().positions
    theirs = ops.rope(x, positions, rotation, heads=3)
    np.testing.assert_allclose(swift.Turn(rotation, positions)(x, 3), theirs, rtol=1e-6, atol=1e-6)


def test_norms_are_the_reference() -> None:
    x, weight = numbers(57, 24), numbers(8, seed=2)
    theirs = ops.rms_norm(x, weight, eps=1e-5, heads=3)
    np.testing.assert_allclose(swift.rms_norm(x, weight, eps=1e-5, heads=3), theirs, rtol=2e-6)


@pytest.mark.parametrize(
    "activation", [Activation(), Activation(sharpness=1.7, shift=1.0, limit=0.8)]
)
def test_gated_units_are_the_reference(activation: Activation) -> None:
    gate, up = 90 * numbers(5, 24), numbers(5, 24, seed=2)
    before = gate.copy(), up.copy()
    ours = swift.gated(gate, up, activation)
    np.testing.assert_allclose(ours, gated(gate, up, activation), rtol=2e-6, atol=1e-30)
    np.testing.assert_array_equal((gate, up), before)
