"""A GGUF mixture whose stacks are not whole, or whose keys say what we don't know, is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gguf_cases as cases
import gguf_models as models
from farthing import formats
from farthing.errors import FormatError
from gguf_cases import made


def without(name: str) -> Any:
    def change(tensors: models.Arrays) -> models.Arrays:
        return {key: array for key, array in tensors.items() if key != name}

    return change


def reshaped(name: str, *shape: int) -> Any:
    def change(tensors: models.Arrays) -> models.Arrays:
        return tensors | {name: np.ones(shape, np.float32)}

    return change


def one_by_one(*shapes: tuple[int, int, int]) -> Any:
    """`blk.1.ffn_up` as an expert each: its number, rows and columns."""

    def change(tensors: models.Arrays) -> models.Arrays:
        alone = {f"blk.1.ffn_up.{e}.weight": np.ones((n, k), np.float32) for e, n, k in shapes}
        return without(UP)(tensors) | alone

    return change


UP, ROUTER = "blk.1.ffn_up_exps.weight", "blk.1.ffn_gate_inp.weight"
BAD_TENSORS = {
    "no up": ("v3", without(UP), r"blk\.1\.ffn_up_exps\.weight is missing"),
    "no router": ("qwen3moe", without(ROUTER), r"blk\.1\.ffn_gate_inp\.weight is missing"),
    "no keys": ("v3", without("blk.0.attn_k_b.weight"), r"blk\.0\.attn_k_b\.weight is missing"),
    "an expert less": ("v3", reshaped(UP, 7, 32, 64), r"ffn_up_exps.* expected.*expert_count 8"),
    "narrow experts": ("v3", reshaped(UP, 8, 31, 64), r"ffn_up_exps.*\[8, 32, 64\] expected"),
    "one expert alone": ("v3", reshaped(UP, 32, 64), r"ffn_up_exps.*\[8, 32, 64\] expected"),
    "a wide router": ("v3", reshaped(ROUTER, 9, 64), r"ffn_gate_inp.*\[8, 64\] expected"),
    "a long correction": ("v3", reshaped("blk.1.exp_probs_b.bias", 9), r"exp_probs_b.*\[8\]"),
    "one bias for all": ("gpt-oss", reshaped("blk.1.ffn_up_exps.bias", 96), r"exps\.bias.*\[8, 96"),
    "sinks elsewhere": ("qwen3moe", reshaped("blk.0.attn_sinks.weight", 4), "attn_sinks"),
    "a third norm": ("gpt-oss", reshaped("blk.0.ffn_norm.weight", 64), "are both model.layers.0"),
    "three dimensions": ("v3", reshaped("blk.0.ffn_up.weight", 2, 48, 64), "one or two dimensions"),
    "experts alone, too few": (
        "mixtral",
        one_by_one((0, 96, 64), (1, 96, 64)),
        r"ffn_up\.0.*\[2, 96, 64\].*\[4, 96, 64\] expected",
    ),
    "experts alone, one missing": (
        "mixtral",
        one_by_one((0, 96, 64), (2, 96, 64)),
        r"experts \[0, 2\].*0 to 1 expected",
    ),
    "experts alone, unlike": (
        "mixtral",
        one_by_one((0, 96, 64), (1, 32, 64)),
        r"ffn_up\.1\.weight is \[32, 64\].*must be alike",
    ),
    "a layer too many": ("v3", reshaped("blk.2.attn_norm.weight", 64), "blk.2.*2 layers"),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_a_stack_that_is_not_whole_is_named(name: str, tmp_path: Path) -> None:
    case, change, said = BAD_TENSORS[name]
    config = cases.config_of(case)
    tensors = change(models.tensors_of(config, cases.arrays_of(config)))
    with pytest.raises(FormatError, match=said):
        made(tmp_path, case, tensors)


BAD_KEYS: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown score": ("v3", {"expert_gating_func": 4}, r"gating_func is 4.*2 \(sigmoid\)"),
    "another family's score": ("qwen3moe", {"expert_gating_func": 2}, r"gating_func is 2"),
    "more used than there are": ("v3", {"expert_used_count": 9}, "expert_used_count is 9"),
    "none used": ("v3", {"expert_used_count": 0}, "expert_used_count is 0"),
    "no count": ("qwen3moe", {"expert_count": None}, "expert_count is missing"),
    "no experts": ("qwen3moe", {"expert_count": 0}, "expert_count is 0"),
    "uneven groups": ("v3", {"expert_group_count": 3}, "expert_group_count is 3"),
    "too many groups used": ("v3", {"expert_group_used_count": 5}, "group_count is 4, 5 of them"),
    "groups in a family without": ("mixtral", {"expert_group_count": 2}, "group_count is 2"),
    "scaled where nothing scales": ("olmoe", {"expert_weights_scale": 2.0}, "weights_scale is 2"),
    "no rank": ("v3", {"attention__kv_lora_rank": 0}, "kv_lora_rank is 0"),
    "nothing but rotation": ("v3", {"attention__key_length_mla": 16}, "key_length_mla is 16"),
    "a pattern of three": ("gpt-oss", {"attention__sliding_window_pattern": 3}, "pattern is 3"),
    "no window": ("gpt-oss", {"attention__sliding_window": None}, "sliding_window is missing"),
    "another base for windows": ("gpt-oss", {"rope__freq_base_swa": 9.0}, "freq_base_swa"),
    "without positions": ("granitemoe", {"rope__scaling__finetuned": False}, "finetuned"),
    "shared experts of Granite": (
        "granitemoe",
        {"expert_shared_feed_forward_length": 32},
        "shared_feed_forward_length is 32",
    ),
    "wider rotation than heads": (
        "glm4moe",
        {"rope__dimension_count": 64},
        "dimension_count is 64",
    ),
    "all layers predict": ("glm4moe", {"nextn_predict_layers": 2}, "nextn_predict_layers is 2"),
    "clamped": ("v3", {"swiglu_clamp_exp": [7.0, 7.0]}, "swiglu_clamp_exp is 7"),
    "tempered": ("v3", {"attention__temperature_scale": 0.1}, "temperature_scale"),
    "a logarithm elsewhere": (
        "qwen3moe",
        {"rope__scaling__type": "yarn", "rope__scaling__factor": 4.0}
        | {"rope__scaling__yarn_log_multiplier": 0.1},
        "yarn_log_multiplier",
    ),
    "more experts than in the stacks": ("qwen3moe", {"expert_count": 9}, "expert_count 9"),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_is_not_understood_is_named(name: str, tmp_path: Path) -> None:
    case, keys, said = BAD_KEYS[name]
    with pytest.raises(FormatError, match=said):
        made(tmp_path, case, **keys)


def test_changed_bytes_of_a_mixture_are_read_or_refused(tmp_path: Path) -> None:
    made(tmp_path, "v3")
    whole = (tmp_path / "model.gguf").read_bytes()
    random, path = np.random.default_rng(7), tmp_path / "flipped.gguf"
    outcomes = {True: 0, False: 0}
    for _ in range(300):
        raw = bytearray(whole)
        for at in random.integers(24, 6000, 2):
            raw[at] = random.integers(256)
        path.write_bytes(raw)
        try:
            found = formats.open(path)
            for name in found.names():
                layout = found.layout(name)
                found.tensor(name, index=0 if layout.form and len(layout.shape) == 3 else None)
        except FormatError as error:
            assert "flipped.gguf" in str(error)
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 10
