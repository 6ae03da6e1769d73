"""The published configs at full size, without a weight: what their pages call for and keep."""

import json
from importlib.resources import files
from math import prod
from typing import Any

import pytest

from farthing import models
from farthing.models.tensors import Tensors
from farthing.ops.record import Recording

BF16 = 2
V2_LITE: dict[str, Any] = json.loads(
    files("farthing.bench").joinpath("shapes/deepseek-v2-lite.json").read_text()
)
V2 = V2_LITE | {
    "hidden_size": 5120,
    "intermediate_size": 12288,
    "num_hidden_layers": 60,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "n_routed_experts": 160,
    "moe_intermediate_size": 1536,
    "n_group": 8,
    "topk_group": 3,
    "topk_method": "group_limited_greedy",
    "routed_scaling_factor": 16.0,
}
V3 = V2 | {
    "model_type": "deepseek_v3",
    "vocab_size": 129280,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "num_hidden_layers": 61,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 3,
    "topk_group": 4,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "num_nextn_predict_layers": 1,
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"},
}
KIMI = V3 | {
    "model_type": "kimi_k2",
    "vocab_size": 163840,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "n_routed_experts": 384,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 2.827,
}
MOONLIGHT = V2_LITE | {
    "model_type": "deepseek_v3",
    "vocab_size": 163840,
    "intermediate_size": 11264,
    "rope_theta": 50000.0,
    "rope_scaling": None,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.446,
}
MOE_16B = {
    "model_type": "deepseek",
    "vocab_size": 102400,
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "max_position_embeddings": 4096,
    "rope_scaling": None,
    "rope_theta": 10000,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1408,
    "norm_topk_prob": False,
    "scoring_func": "softmax",
    "tie_word_embeddings": False,
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekConfig"},
}


@pytest.mark.parametrize(
    ("config", "billions"),
    [
        (MOE_16B, 16.4),
        (V2_LITE, 15.7),
        (V2, 235.7),
        (V3, 671.0),
        (MOONLIGHT, 16.0),
        (KIMI, 1026.4),
    ],
)
def test_a_page_calls_for_as_many_parameters_as_were_published(
    config: dict[str, Any], billions: float
) -> None:
    shapes = models.tensors_of(config).values()
    assert sum(map(prod, shapes)) / 1e9 == pytest.approx(billions, abs=0.05)


@pytest.mark.parametrize(
    ("config", "bytes_a_token", "share"), [(V2_LITE, 31_104, 0.1125), (V3, 70_272, 0.0140625)]
)
def test_a_latent_is_this_share_of_plain_heads(
    config: dict[str, Any], bytes_a_token: int, share: float
) -> None:
    """Of keys of 128 + 64 numbers and values of 128, for every head."""
    page = models.TABLE[config["model_type"]](config, Tensors(None))
    recording = Recording(page.shape.layers)
    page.forward(recording, recording)
    kept = [note.inputs[1].width for note in recording.notes if note.name == "latent_attention"]
    assert sum(kept) * BF16 == bytes_a_token
    plain = config["num_hidden_layers"] * config["num_attention_heads"] * (128 + 64 + 128)
    assert sum(kept) / plain == share
