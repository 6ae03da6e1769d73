"""Granite-MoE against transformers, in fp32: its four multipliers, and Mixtral's routing."""

from typing import Any

import numpy as np
import pytest
from agreement import (
    assert_chunks_change_nothing,
    assert_same_experts,
    assert_same_logits,
    assert_torch_runs_it,
)
from canonical import canonical
from oracle import checkpoint, our_logits, ours, some_tokens

from farthing import models
from farthing.errors import FormatError

SMALL: dict[str, Any] = {
    "intermediate_size": 40,
    "num_local_experts": 8,
    "num_experts_per_tok": 3,
    "embedding_multiplier": 2.5,
    "residual_multiplier": 0.75,
    "attention_multiplier": 0.4,
    "logits_scaling": 1.5,
}
MULTIPLIERS = (
    "embedding_multiplier",
    "residual_multiplier",
    "attention_multiplier",
    "logits_scaling",
)
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
}
CASES: dict[str, dict[str, Any]] = {
    "all four": {},
    "none but attention's": dict.fromkeys(MULTIPLIERS, 1.0) | {"attention_multiplier": 0.25},
    "tied, biases": {"tie_word_embeddings": True, "attention_bias": True},
    "one expert a token": {"num_experts_per_tok": 1, "num_key_value_heads": 3},
    "every expert, yarn": {"num_experts_per_tok": 8, "rope_parameters": YARN},
}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    assert_same_logits(*checkpoint("granitemoe", **SMALL | CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_tokens_go_to_the_same_experts(case: str) -> None:
    assert_same_experts(*checkpoint("granitemoe", **SMALL | CASES[case]), layers=3)


def test_chunks_of_any_size_give_the_same_logits() -> None:
    assert_chunks_change_nothing(*checkpoint("granitemoe", **SMALL))


def test_torch_tensors_run_the_same_page() -> None:
    assert_torch_runs_it(*checkpoint("granitemoe", **SMALL))


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_each_multiplier_tells(name: str) -> None:
    config, theirs = checkpoint("granitemoe", **SMALL)
    tokens = some_tokens(30)
    given = our_logits(ours(config, theirs), tokens)
    left_out = our_logits(ours({k: v for k, v in config.items() if k != name}, theirs), tokens)
    assert np.abs(given - left_out).max() > 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_local_experts": None}, "num_local_experts is None"),
        ({"num_experts_per_tok": 9}, "num_experts_per_tok is 9, and num_local_experts only 8"),
        ({"num_local_experts": 9}, r"mlp\.gate\.weight is \[8, 48\].*\[9, 48\]"),
        ({"logits_scaling": 0.0}, "logits_scaling is 0.0; expected a positive number"),
        ({"residual_multiplier": float("nan")}, "residual_multiplier is nan"),
        ({"embedding_multiplier": True}, "embedding_multiplier is True"),
        ({"attention_multiplier": 10**400}, "attention_multiplier is 1000.*at most"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; known: silu"),
    ],
)
def test_a_wrong_config_is_named(changes: dict[str, Any], message: str) -> None:
    config, theirs = checkpoint("granitemoe", **SMALL)
    with pytest.raises(FormatError, match=message):
        ours(config | changes, theirs)


def test_a_missing_stack_is_named() -> None:
    config, theirs = checkpoint("granitemoe", **SMALL)
    state = canonical(theirs.state_dict(), config)
    del state["model.layers.2.mlp.experts.up_proj.weight"]
    with pytest.raises(FormatError, match=r"no tensor model\.layers\.2\.mlp\.experts\.up_proj"):
        models.load(config, state)
