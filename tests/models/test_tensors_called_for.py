"""Every tensor of a checkpoint is taken, and what a config calls for is known without weights."""

from typing import Any

import numpy as np
import pytest
from canonical import canonical
from oracle import checkpoint

from farthing import models
from farthing.errors import FormatError
from farthing.models.mixture import checked
from farthing.ops.mixture import Router

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, tied, biases": ("llama", {"tie_word_embeddings": True, "attention_bias": True}),
    "qwen3": ("qwen3", {}),
    "qwen2_moe": (
        "qwen2_moe",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "shared_expert_intermediate_size": 40,
            "decoder_sparse_step": 2,
        },
    ),
    "mixtral": ("mixtral", {"num_local_experts": 4}),
}
MIXTRAL: dict[str, Any] = {
    "model_type": "mixtral",
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}
QWEN3 = MIXTRAL | {"model_type": "qwen3_moe", "moe_intermediate_size": 24}
QWEN2 = QWEN3 | {"model_type": "qwen2_moe", "shared_expert_intermediate_size": 40}


def arrays(case: str) -> tuple[dict[str, Any], dict[str, Any]]:
    family, changes = CASES[case]
    config, theirs = checkpoint(family, **changes)
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    return config, canonical(state, config)


@pytest.mark.parametrize("case", CASES)
def test_a_config_calls_for_what_its_checkpoint_holds(case: str) -> None:
    config, tensors = arrays(case)
    assert models.tensors_of(config) == {name: t.shape for name, t in tensors.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_tensor_that_nobody_takes_is_named(case: str) -> None:
    config, tensors = arrays(case)
    models.load(config, tensors)
    extra = {"model.layers.7.enorm.weight": np.zeros(48), "model.zz.bias": np.zeros(48)}
    with pytest.raises(FormatError, match=r"'model\.layers\.7\.enorm\.weight' and 1 more.* no use"):
        models.load(config, tensors | extra)


def test_qwen2_moe_has_biases_unless_its_config_says_otherwise() -> None:
    """Configs of the released models, older than the field, do not have it."""
    name = "model.layers.0.self_attn.q_proj.bias"
    assert name in models.tensors_of(QWEN2)
    assert name not in models.tensors_of(QWEN2 | {"qkv_bias": False})


def test_every_missing_tensor_is_named() -> None:
    """One at a time, each is found to be missing, experts' and router's too."""
    config, tensors = arrays("qwen2_moe")
    for name in tensors:
        rest = {other: t for other, t in tensors.items() if other != name}
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            models.load(config, rest)


def test_a_wrong_number_of_experts_is_named() -> None:
    config, tensors = arrays("mixtral")
    name = "model.layers.1.mlp.experts.up_proj.weight"
    with pytest.raises(FormatError, match=r"up_proj\.weight is \[3, 80, 48\].*\[4, 80, 48\]"):
        models.load(config, tensors | {name: tensors[name][:3]})
    with pytest.raises(FormatError, match=r"gate\.weight is \[4, 48\].*\[5, 48\]"):
        models.load(config | {"num_local_experts": 5}, tensors)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            MIXTRAL | {"num_experts_per_tok": 5},
            "num_experts_per_tok is 5.*num_local_experts only 4",
        ),
        (MIXTRAL | {"num_local_experts": 0}, "num_local_experts is 0"),
        (MIXTRAL | {"num_local_experts": None}, "num_experts is None"),
        (MIXTRAL | {"num_experts": 8}, "num_experts is 8 and num_local_experts 4"),
        (MIXTRAL | {"sliding_window": -1}, "sliding_window is -1"),
        (MIXTRAL | {"model_type": "olmoe", "clip_qkv": 8.0}, "clip_qkv is 8.0.*expected null"),
        (MIXTRAL | {"model_type": "olmoe", "norm_topk_prob": 1.5}, "norm_topk_prob is 1.5"),
        (QWEN3 | {"moe_intermediate_size": None}, "moe_intermediate_size is None"),
        (QWEN3 | {"mlp_only_layers": [2]}, r"mlp_only_layers is \[2\].* 0 to 1"),
        (QWEN3 | {"mlp_only_layers": "all"}, "mlp_only_layers is 'all'"),
        (QWEN3 | {"decoder_sparse_step": 0}, "decoder_sparse_step is 0"),
        (QWEN2 | {"shared_expert_intermediate_size": 0}, "shared_expert_intermediate_size is 0"),
        (QWEN2 | {"use_sliding_window": True}, "qwen2_moe with use_sliding_window.*layer_types"),
        (QWEN2 | {"qkv_bias": "no"}, "qkv_bias is 'no'"),
    ],
)
def test_a_wrong_mixture_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        models.tensors_of(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top_k": 9}, "num_experts_per_tok is 9, and n_routed_experts only 8"),
        ({"groups": 3}, "n_group is 3, into which n_routed_experts = 8 does not divide"),
        ({"groups": 16, "top_groups": 16}, "n_group is 16"),
        ({"groups": 4, "top_groups": 5}, "topk_group is 5, and n_group 4"),
        ({"groups": 4, "top_k": 3}, "topk_group is 1, whose groups of 2 .*num_experts_per_tok = 3"),
        ({"groups": 8, "top_groups": 4, "group_by": "two"}, "groups of one expert"),
    ],
)
def test_a_router_that_contradicts_itself_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        checked(Router(**({"experts": 8, "top_k": 2} | changes)), "n_routed_experts")


def test_a_router_that_agrees_with_itself_is_left_alone() -> None:
    router = Router(experts=8, top_k=4, groups=4, top_groups=2, group_by="two")
    assert checked(router) is router
