"""What DeepSeek's pages do not know is refused by the name of the field or the tensor."""

from typing import Any

import pytest
from canonical import canonical
from deepseek_checkpoints import made

from farthing import models
from farthing.errors import FormatError
from farthing.models.deepseek_latent import Latent


def loaded(case: str, changes: dict[str, Any], drop: str = "") -> models.Model:
    config, theirs = made(case)
    tensors = canonical(theirs.state_dict(), config)
    assert not drop or tensors.pop(drop) is not None
    return models.load(config | changes, tensors)


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("V2-Lite", {"scoring_func": "sigmoid"}, "'sigmoid', which deepseek_v2 .* known: softmax"),
        ("V3", {"scoring_func": "tanh"}, "scoring_func is 'tanh', .* known: sigmoid"),
        ("Kimi K2", {"scoring_func": ["sigmoid"]}, "which kimi_k2 does not know"),
        ("DeepSeekMoE", {"scoring_func": "sigmoid"}, "which deepseek does not know"),
        (
            "V2-Lite",
            {"topk_method": "noaux_tc"},
            "topk_method is 'noaux_tc'.* known: greedy, group_limited_greedy",
        ),
        ("V3", {"topk_method": "greedy"}, "topk_method is 'greedy'.* known: noaux_tc"),
        ("V2", {"norm_topk_prob": True}, "norm_topk_prob is true.*routed_scaling_factor"),
        ("V2", {"mlp_bias": True}, "mlp_bias is true"),
        ("V2", {"n_group": 3}, "n_group is 3.*n_routed_experts = 8"),
        ("V2", {"n_group": None}, "n_group is None"),
        ("V3", {"topk_group": 5}, "topk_group is 5"),
        ("V3", {"topk_group": 1}, "fewer than num_experts_per_tok = 3"),
        ("V3", {"n_group": 8, "topk_group": 8}, "groups of one expert"),
        ("V3", {"num_experts_per_tok": 9}, "num_experts_per_tok is 9"),
        ("V3", {"routed_scaling_factor": "2.5"}, "routed_scaling_factor is '2.5'"),
        ("V3", {"routed_scaling_factor": None}, "routed_scaling_factor is None"),
        ("V3", {"n_routed_experts": 16}, r"gate\.weight is \[8, 48\]; config.json makes it \[16,"),
        ("V3", {"n_shared_experts": 3}, r"shared_experts\.gate_proj\.weight is \[24, 48\]"),
        ("V3", {"n_shared_experts": None}, r"tensor '.*shared_experts.*' and 5 more in the check"),
        ("V2", {"first_k_dense_replace": None}, "first_k_dense_replace is None"),
        ("V2", {"first_k_dense_replace": 2}, r"no tensor model\.layers\.1\.mlp\.gate_proj\.weight"),
        ("V2", {"moe_layer_freq": [0, 1, 1]}, r"moe_layer_freq is \[0, 1, 1\]"),
        ("V2", {"kv_lora_rank": None}, "kv_lora_rank is None"),
        ("V2", {"kv_lora_rank": 36}, "kv_lora_rank is 36; expected a multiple of 8"),
        ("V2", {"qk_rope_head_dim": 12}, "qk_rope_head_dim is 12; expected a multiple of 8"),
        ("V2", {"num_key_value_heads": 2}, "num_key_value_heads is 2.* written 1 or 3"),
        ("V2", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ("V2", {"q_lora_rank": None}, r"no tensor model\.layers\.0\.self_attn\.q_proj\.weight"),
        ("V2", {"attention_bias": False}, r"tensor '.*mqa\.bias' and 8 more"),
        ("DeepSeekMoE", {"sliding_window": 64}, "sliding_window"),
    ],
)
def test_a_wrong_config_is_named(case: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        loaded(case, changes)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.1.mlp.experts.up_proj.weight",
        "model.layers.2.mlp.gate.e_score_correction_bias",
        "model.layers.2.mlp.shared_experts.down_proj.weight",
        "model.layers.0.self_attn.k_b_proj.weight",
        "model.layers.0.self_attn.q_a_layernorm.weight",
    ],
)
def test_a_missing_tensor_is_named(name: str) -> None:
    with pytest.raises(FormatError, match=f"no tensor {name}"):
        loaded("V3", {}, drop=name)


def test_one_key_value_head_is_how_some_write_a_latent() -> None:
    assert loaded("V2", {"num_key_value_heads": 1}).shape == loaded("V2", {}).shape


def test_a_config_of_an_older_transformers_reads_the_same() -> None:
    """rope_theta and rope_scaling apart, `type` for `rope_type`, no head_dim."""
    config, _ = made("V2")
    rope = dict(config["rope_parameters"])
    old = {k: v for k, v in config.items() if k not in ("rope_parameters", "head_dim")}
    old |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": {"type": "yarn"} | rope}
    del old["rope_scaling"]["rope_type"]
    assert Latent.from_hf(old) == Latent.from_hf(config)
    assert Latent.from_hf(old).scale != Latent.from_hf(old | {"rope_scaling": None}).scale
