"""gpt-oss against transformers, in fp32: sinks, windows, biases, clamped units."""

from typing import Any

import numpy as np
import pytest
from agreement import (
    assert_chunks_change_nothing,
    assert_same_experts,
    assert_same_logits,
    assert_torch_runs_it,
    told_by,
)
from canonical import canonical
from oracle import checkpoint, our_logits, ours, some_tokens

from farthing import models
from farthing.errors import FormatError

SMALL: dict[str, Any] = {
    "head_dim": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "num_local_experts": 8,
    "num_experts_per_tok": 3,
    "sliding_window": 7,
}
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 8.0,
    "truncate": False,
    "original_max_position_embeddings": 32,
}
LAYERS = ["full_attention", "full_attention", "sliding_attention"]
CASES: dict[str, dict[str, Any]] = {
    "as the family is": {},
    "yarn over a short text": {"rope_parameters": YARN},
    "layers named": {"layer_types": LAYERS, "tie_word_embeddings": True},
    "full attention alone": {"layer_types": ["full_attention"] * 3},
    "no biases on attention": {"attention_bias": False, "num_experts_per_tok": 1},
    "another unit": {"swiglu_alpha": 1.1, "swiglu_limit": 0.4},
    "every expert": {"num_experts_per_tok": 8, "head_dim": 64},
}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    assert_same_logits(*checkpoint("gpt_oss", **SMALL | CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_tokens_go_to_the_same_experts(case: str) -> None:
    assert_same_experts(*checkpoint("gpt_oss", **SMALL | CASES[case]), layers=3)


@pytest.mark.parametrize("ending", ["sinks", "gate.bias", "down_proj.bias", "q_proj.bias"])
def test_every_small_tensor_tells(ending: str) -> None:
    """None of those that are easily forgotten could be left out unseen."""
    assert told_by(*checkpoint("gpt_oss", **SMALL), ending) > 0.05


def test_units_are_clamped_in_the_case_that_says_so() -> None:
    config, theirs = checkpoint("gpt_oss", **SMALL | CASES["another unit"])
    tokens = some_tokens(30)
    free = our_logits(ours(config | {"swiglu_limit": 100.0}, theirs), tokens)
    assert np.abs(our_logits(ours(config, theirs), tokens) - free).max() > 0.5


def test_chunks_of_any_size_give_the_same_logits() -> None:
    assert_chunks_change_nothing(*checkpoint("gpt_oss", **SMALL))


def test_torch_tensors_run_the_same_page() -> None:
    assert_torch_runs_it(*checkpoint("gpt_oss", **SMALL))


def test_an_old_config_reads_the_same() -> None:
    """As published: rope_theta and rope_scaling, no swiglu_alpha, and a few fields twice."""
    config, theirs = checkpoint("gpt_oss", **SMALL | {"rope_parameters": YARN})
    old = {k: v for k, v in config.items() if k not in ("rope_parameters", "swiglu_alpha")}
    rope = {k: v for k, v in YARN.items() if k != "rope_theta"}
    old |= {"rope_theta": YARN["rope_theta"], "rope_scaling": rope}
    old |= {"experts_per_token": 3, "initial_context_length": 32}
    tokens = some_tokens(40)
    new_way, old_way = (our_logits(ours(c, theirs), tokens) for c in (config, old))
    np.testing.assert_array_equal(new_way, old_way)


@pytest.mark.parametrize(
    "left_out", ["layer_types", "rope_parameters", "sliding_window", "attention_bias"]
)
def test_what_a_config_leaves_out_is_what_the_family_has(left_out: str) -> None:
    config, theirs = checkpoint("gpt_oss", **SMALL | {"sliding_window": 128})
    tokens = some_tokens(140)
    short = {k: v for k, v in config.items() if k != left_out}
    whole, shorter = (our_logits(ours(c, theirs), tokens) for c in (config, short))
    np.testing.assert_array_equal(whole, shorter)


def test_the_shape_tells_what_a_cache_needs() -> None:
    config, theirs = checkpoint("gpt_oss", **SMALL)
    shape = ours(config, theirs).shape
    assert (shape.windows, shape.head_dim, shape.kv_heads) == ((7, 0, 7), 16, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_local_experts": None}, "num_local_experts is None"),
        ({"num_experts_per_tok": 9}, "num_experts_per_tok is 9, and num_local_experts only 8"),
        ({"num_local_experts": 7}, r"mlp\.gate\.weight is \[8, 48\].*\[7, 48\]"),
        ({"intermediate_size": 48}, r"gate_proj\.weight is \[8, 40, 48\].*\[8, 48, 48\]"),
        ({"swiglu_limit": 0}, "swiglu_limit is 0; expected a positive number"),
        ({"swiglu_alpha": "1.702"}, "swiglu_alpha is '1.702'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; known: silu"),
        ({"sliding_window": None}, "no sliding_window is in use"),
        ({"layer_types": ["chunked"] * 3}, "'chunked' is not known"),
        ({"attention_bias": "no"}, "attention_bias is 'no'"),
    ],
)
def test_a_wrong_config_is_named(changes: dict[str, Any], message: str) -> None:
    config, theirs = checkpoint("gpt_oss", **SMALL)
    with pytest.raises(FormatError, match=message):
        ours(config | changes, theirs)


@pytest.mark.parametrize("name", ["self_attn.sinks", "mlp.gate.bias", "mlp.experts.up_proj.bias"])
def test_a_missing_tensor_is_named(name: str) -> None:
    config, theirs = checkpoint("gpt_oss", **SMALL)
    state = canonical(theirs.state_dict(), config)
    del state[f"model.layers.1.{name}"]
    with pytest.raises(FormatError, match=rf"no tensor model\.layers\.1\.{name}"):
        models.load(config, state)
