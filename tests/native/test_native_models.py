"""Whole models: the native reading against NumPy's, for every family, rotation and form.

Both round inputs to the same codes, but for a value next to an edge, which fp32 sums in another
order may push over it. One such flip moves an input by a 127th of the largest of its 32, and by way
of the cache every later token a little: up to a tenth of the logits' spread in models this small.
Without a flip the two differ by fp32's rounding alone, as they must in most cases.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_native import FORMS, config, folder, runner, step, tensors

from farthing import models
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import bind

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
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("int4", config()),
    "llama, tied": ("int4-min", config(tie_word_embeddings=True)),
    "llama, llama3": ("q4_k", config(rope_parameters=LLAMA3)),
    "llama, yarn": ("int8", config(rope_parameters=YARN)),
    "llama, linear": ("bf16", config(rope_parameters=LINEAR)),
    "llama, 40 wide heads": ("q5_k", config(head_dim=40)),
    "llama, 5 heads of 24": (
        "int8-min",
        config(num_attention_heads=5, num_key_value_heads=5, head_dim=24, hidden_size=72),
    ),
    "mistral": ("q6_k", config("mistral")),
    "mistral, window": ("int8-f32", config("mistral", sliding_window=20)),
    "qwen2": ("int4-64", config("qwen2")),
    "qwen2, tied, 14 on 2": (
        "int4-128-f32-min",
        config("qwen2", tie_word_embeddings=True, num_attention_heads=14),
    ),
    "qwen3": ("int4-f32", config("qwen3", head_dim=32)),
    "qwen3, 72 wide heads": ("int8-f32-min", config("qwen3", head_dim=72)),
}
LENGTH = 90
TOKENS = np.random.default_rng(11).integers(0, 211, LENGTH).tolist()


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, np.ndarray]]:
    """Each case's folder, and its logits by NumPy."""
    at, out = tmp_path_factory.mktemp("whole"), {}
    for number, (case, (form, c)) in enumerate(CASES.items()):
        held = tensors(c, FORMS[form])
        model = models.load(c, bind(held, "int8"))
        cache = Cache.empty(model.shape.layers, arithmetic="native")
        logits = model.forward(Step.of([(0, 0, TOKENS)]), cache)
        out[case] = folder(at / str(number), c, held), logits
    return out


def error(read: Any, case: str) -> np.ndarray:
    """[tokens, vocabulary], in parts of the logits' spread; the prompt in three chunks."""
    at, expected = read[case]
    r = runner(at, max_step_tokens=128)
    chunks = ((0, 80), (80, 83), (83, LENGTH))
    got = np.concatenate([r.logits(step([(0, a, TOKENS[a:b])])) for a, b in chunks])
    return np.abs(got - expected) / expected.std()


@pytest.mark.parametrize("case", CASES)
def test_native_logits_are_numpys(isa: str, read: Any, case: str) -> None:
    far = error(read, case)
    assert far.max() < 0.25 and np.sqrt((far**2).mean()) < 0.02


def test_most_models_differ_by_rounding_alone(isa: str, read: Any) -> None:
    assert np.median([error(read, case).max() for case in CASES]) < 0.01
    # a flip in what the logits' second rounding leaves moves them by 1 / (2 * 127 * 127) at most
    assert min(error(read, case).max() for case in CASES) < 5e-5
