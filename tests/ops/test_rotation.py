"""Frequencies against transformers' own, and configs that are refused."""

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.deepseek_v3 import modeling_deepseek_v3

from farthing.errors import FormatError
from farthing.ops.reference import cos_sin
from farthing.ops.rotation import rotation_from_hf, softmax_factor

KINDS: dict[str, dict[str, Any]] = {
    "default": {"rope_theta": 100000.0},
    "linear": {"rope_theta": 10000.0, "factor": 3.0},
    "llama3": {
        "rope_theta": 500000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "yarn": {
        "rope_theta": 1000000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 32768,
    },
    "yarn as DeepSeek has it": {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 40.0,
        "original_max_position_embeddings": 4096,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "yarn, all its fields": {
        "rope_type": "yarn",
        "rope_theta": 150000.0,
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
        "beta_fast": 24.0,
        "beta_slow": 2.0,
        "truncate": False,
        "attention_factor": 1.25,
    },
    "yarn, factor from the lengths": {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": None,
        "original_max_position_embeddings": 2048,
    },
}


def config(kind: str) -> dict[str, Any]:
    return {
        "hidden_size": 256,
        "num_attention_heads": 4,
        "max_position_embeddings": 131072,
        "rope_parameters": {"rope_type": kind} | KINDS[kind],
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "default"])
def test_frequencies_are_those_of_transformers(kind: str) -> None:
    theirs = transformers.LlamaConfig(**config(kind))
    rope_type = theirs.rope_parameters["rope_type"]
    frequencies, magnitude = ROPE_INIT_FUNCTIONS[rope_type](theirs, torch.device("cpu"))
    ours = rotation_from_hf(config(kind), 64)
    np.testing.assert_allclose(ours.frequencies, frequencies.numpy(), rtol=4e-7)
    assert ours.frequencies.dtype == np.float32
    assert ours.magnitude == pytest.approx(magnitude)
    plain = rotation_from_hf({"rope_theta": KINDS[kind]["rope_theta"]}, 64).frequencies
    assert not np.allclose(ours.frequencies, plain, rtol=0.1), "the kind changes nothing"


def test_plain_frequencies_are_those_of_transformers() -> None:
    theirs = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(
        transformers.LlamaConfig(**config("default"))
    )
    ours = rotation_from_hf(config("default"), 64)
    np.testing.assert_allclose(ours.frequencies, theirs.inv_freq.numpy(), rtol=2e-7)
    positions = torch.tensor([[0, 1, 1000, 100_000]])
    cos, sin = (t[0, :, :32].numpy() for t in theirs(torch.zeros(1), positions))
    our_cos, our_sin = cos_sin(ours, positions[0].numpy())
    # one step of fp32 in a frequency turns an angle of 100,000 by 0.006
    np.testing.assert_allclose(our_cos, cos, atol=1e-2)
    np.testing.assert_allclose(our_cos[:2], cos[:2], atol=1e-6)
    np.testing.assert_allclose(our_sin[:2], sin[:2], atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "llama3", "yarn"])
def test_older_configs_read_the_same(kind: str) -> None:
    rope = dict(KINDS[kind])
    old = config(kind) | {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    del old["rope_parameters"]
    for name in ("type", "rope_type"):
        again = rotation_from_hf(old | {"rope_scaling": {name: kind} | rope}, 64)
        expected = rotation_from_hf(config(kind), 64)
        np.testing.assert_array_equal(again.frequencies, expected.frequencies)


@pytest.mark.parametrize("kind", ["linear", "llama3", "yarn"])
@pytest.mark.parametrize("part", [0.25, 0.5])
def test_a_part_of_the_head_is_turned_as_in_transformers(kind: str, part: float) -> None:
    said = config(kind) | {"partial_rotary_factor": part}
    inside = config(kind)
    inside["rope_parameters"] |= {"partial_rotary_factor": part}
    theirs = transformers.AutoConfig.for_model("glm4_moe", **inside)
    frequencies, magnitude = ROPE_INIT_FUNCTIONS[kind](theirs, torch.device("cpu"))
    for given in (said, inside):
        ours = rotation_from_hf(given, 64)
        np.testing.assert_allclose(ours.frequencies, frequencies.numpy(), rtol=4e-7)
        assert (ours.width, len(ours.frequencies)) == (64, 32 * part)
        assert ours.magnitude == pytest.approx(magnitude)


def test_nothing_said_is_plain_with_theta_10000() -> None:
    frequencies = rotation_from_hf({"rope_scaling": None}, 64).frequencies
    np.testing.assert_allclose(frequencies, 10000.0 ** -(np.arange(0, 64, 2) / 64), rtol=1e-6)


@pytest.mark.parametrize(
    ("rope", "expected"),
    [
        ({"mscale": 1.0, "mscale_all_dim": 1.0}, 1.3689**2),
        ({"mscale": 0.707, "mscale_all_dim": 0.707}, 1.2608**2),
        ({"mscale": 1.0}, 1.0),
        ({"rope_type": "default", "mscale_all_dim": 1.0}, 1.0),
    ],
)
def test_the_softmax_is_scaled_as_in_transformers(rope: dict[str, Any], expected: float) -> None:
    whole = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 40.0} | rope
    whole["original_max_position_embeddings"] = 4096
    ours = softmax_factor({"rope_parameters": whole})
    assert ours == pytest.approx(modeling_deepseek_v3.yarn_apply_mscale(whole, 1.0))
    assert ours == pytest.approx(expected, rel=1e-4)


LLAMA3 = {"rope_type": "llama3"} | KINDS["llama3"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'.*llama3.*yarn"),
        ({"rope_scaling": {"type": "longrope"}}, "'longrope' is not known; known: default"),
        ({"rope_parameters": {"rope_type": ["yarn"]}}, "is not known"),
        ({"rope_parameters": [1]}, "expected one flat set"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "one flat set"),
        ({"rope_scaling": {"type": "linear"}}, "rope factor is None"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "rope factor is 0"),
        ({"rope_scaling": {"type": "linear", "factor": 10**400}}, "at most"),
        ({"rope_scaling": {"type": "linear", "factor": float("nan")}}, "rope factor is nan"),
        ({"rope_theta": 1.0}, "rope rope_theta is 1.0; expected above 1"),
        ({"rope_theta": "10000"}, "rope_theta is '10000'"),
        ({"rope_parameters": LLAMA3 | {"high_freq_factor": 1.0}}, "above low_freq_factor"),
        ({"partial_rotary_factor": 0}, "partial_rotary_factor is 0"),
        ({"partial_rotary_factor": 1.25}, "turns 80 of a head's 64"),
        ({"partial_rotary_factor": 0.05}, "turns 3 of a head's 64"),
        ({"rope_parameters": {"partial_rotary_factor": "half"}}, "partial_rotary_factor is 'half'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        rotation_from_hf(config, 64)
