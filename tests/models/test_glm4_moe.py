"""GLM-4-MoE against transformers, in fp32: half-turned heads, sigmoid routing, shared experts."""

import math
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
    "moe_intermediate_size": 24,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "head_dim": 16,
}
GROUPS = {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "GLM-4.5-Air": ({"attention_bias": True, "routed_scaling_factor": 1.5}, 2),
    "GLM-4.5": ({"attention_bias": True, "use_qk_norm": True, "first_k_dense_replace": 2}, 1),
    "groups": (GROUPS, 2),
    "groups, weights as they come, tied": (
        GROUPS | {"norm_topk_prob": False, "tie_word_embeddings": True},
        2,
    ),
    "experts in all layers, two of them shared": (
        {"first_k_dense_replace": 0, "n_shared_experts": 2},
        3,
    ),
    "no experts": ({"first_k_dense_replace": 3}, 0),
    "a quarter of the head": ({"partial_rotary_factor": 0.25, "head_dim": 24}, 2),
    "the whole head, llama3": ({"rope_parameters": LLAMA3 | {"partial_rotary_factor": 1.0}}, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    assert_same_logits(*checkpoint("glm4_moe", **SMALL | CASES[case][0]))


@pytest.mark.parametrize("case", CASES)
def test_tokens_go_to_the_same_experts(case: str) -> None:
    changes, layers = CASES[case]
    assert_same_experts(*checkpoint("glm4_moe", **SMALL | changes), layers=layers)


@pytest.mark.parametrize("ending", ["e_score_correction_bias", "shared_experts.down_proj.weight"])
def test_correction_and_shared_experts_tell(ending: str) -> None:
    assert told_by(*checkpoint("glm4_moe", **SMALL), ending) > 0.5


def test_chunks_of_any_size_give_the_same_logits() -> None:
    assert_chunks_change_nothing(*checkpoint("glm4_moe", **SMALL | GROUPS))


def test_torch_tensors_run_the_same_page() -> None:
    assert_torch_runs_it(*checkpoint("glm4_moe", **SMALL | GROUPS | {"use_qk_norm": True}))


@pytest.mark.parametrize(
    "left_out",
    [
        "n_group",
        "topk_group",
        "norm_topk_prob",
        "n_shared_experts",
        "first_k_dense_replace",
        "use_qk_norm",
        "rms_norm_eps",
    ],
)
def test_what_a_config_leaves_out_is_what_the_family_has(left_out: str) -> None:
    config, theirs = checkpoint("glm4_moe", **SMALL)
    tokens = some_tokens(30)
    short = {k: v for k, v in config.items() if k != left_out}
    whole, shorter = (our_logits(ours(c, theirs), tokens) for c in (config, short))
    np.testing.assert_array_equal(whole, shorter)


def test_an_old_config_turns_half_of_each_head() -> None:
    """rope_theta beside rope_scaling, and no word of the part that is turned."""
    config, theirs = checkpoint("glm4_moe", **SMALL)
    old = {k: v for k, v in config.items() if k != "rope_parameters"}
    old |= {"rope_theta": config["rope_parameters"]["rope_theta"], "rope_scaling": None}
    tokens = some_tokens(30)
    whole, again = (our_logits(ours(c, theirs), tokens) for c in (config, old))
    np.testing.assert_array_equal(whole, again)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scoring_func": "softmax"}, "scoring_func is 'softmax'.*known: sigmoid"),
        ({"topk_method": "greedy"}, "topk_method is 'greedy'.*known: noaux_tc"),
        ({"n_routed_experts": None}, "n_routed_experts is None"),
        ({"n_routed_experts": 9}, r"mlp\.gate\.weight is \[8, 48\].*\[9, 48\]"),
        ({"num_experts_per_tok": 9}, "num_experts_per_tok is 9, and n_routed_experts only 8"),
        ({"n_group": 3}, "n_group is 3, into which n_routed_experts = 8"),
        ({"n_group": 8, "topk_group": 4}, "groups of one expert"),
        ({"topk_group": 2}, "topk_group is 2, and n_group 1"),
        ({"n_group": 4}, "topk_group is 1, whose groups of 2 experts"),
        ({"routed_scaling_factor": -1}, "routed_scaling_factor is -1"),
        ({"use_qk_norm": "yes"}, "use_qk_norm is 'yes'"),
        ({"first_k_dense_replace": -1}, "first_k_dense_replace is -1"),
    ],
)
def test_a_wrong_config_is_named(changes: dict[str, Any], message: str) -> None:
    config, theirs = checkpoint("glm4_moe", **SMALL)
    with pytest.raises(FormatError, match=message):
        ours(config | changes, theirs)


@pytest.mark.parametrize("name", ["gate.e_score_correction_bias", "shared_experts.up_proj.weight"])
def test_a_missing_tensor_is_named(name: str) -> None:
    config, theirs = checkpoint("glm4_moe", **SMALL)
    state = canonical(theirs.state_dict(), config)
    del state[f"model.layers.1.mlp.{name}"]
    with pytest.raises(FormatError, match=rf"no tensor model\.layers\.1\.mlp\.{name}"):
        models.load(config, state)


def test_the_published_model_is_as_large_as_it_is_said_to_be() -> None:
    """GLM-4.5-Air, 106.9 B without its prediction layer, by its config.json."""
    published = {
        "model_type": "glm4_moe",
        "attention_bias": True,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 4096,
        "partial_rotary_factor": 0.5,
        "intermediate_size": 10944,
        "max_position_embeddings": 131072,
        "moe_intermediate_size": 1408,
        "norm_topk_prob": True,
        "num_attention_heads": 96,
        "n_group": 1,
        "topk_group": 1,
        "n_routed_experts": 128,
        "n_shared_experts": 1,
        "routed_scaling_factor": 1.0,
        "num_experts_per_tok": 8,
        "first_k_dense_replace": 1,
        "num_hidden_layers": 46,
        "num_key_value_heads": 8,
        "num_nextn_predict_layers": 1,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
        "use_qk_norm": False,
        "vocab_size": 151552,
    }
    tensors = models.tensors_of(published)
    assert round(sum(math.prod(shape) for shape in tensors.values()) / 1e9) == 107
