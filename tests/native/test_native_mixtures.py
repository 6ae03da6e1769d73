"""Whole models with experts and latent attention: the native reading against NumPy's.

As in test_native_models.py a code next to an edge may be rounded to the other side of it. Here it
may also turn the scale between two experts that are worth almost the same; a token that then goes
elsewhere says nothing of the arithmetic, so texts are short and such tokens are few.
"""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from toy_mixture import GROUPS, config, tensors
from toy_native import FORMS, folder, step

from farthing import models
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.ops import reference
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import bind
from farthing.weight import E2M1

FIVE = {"num_attention_heads": 5, "num_key_value_heads": 5}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_moe": ("int4", config("qwen3_moe")),
    "qwen3_moe, a dense layer": ("bf16", config("qwen3_moe", mlp_only_layers=[0])),
    "qwen3_moe, 72 wide": ("int4", config("qwen3_moe", hidden_size=72)),
    "qwen2_moe": ("q4_k", config("qwen2_moe")),
    "deepseek_v2": ("int4-min", config("deepseek_v2")),
    "deepseek_v2, low queries": ("int8", config("deepseek_v2", q_lora_rank=40)),
    "deepseek_v3": ("int4-f32", config("deepseek_v3")),
    "deepseek_v3, five heads": ("bf16", config("deepseek_v3", **FIVE)),
    "gpt_oss": ("e2m1", config("gpt_oss")),
    "gpt_oss, no window": ("int4", config("gpt_oss", layer_types=["full_attention"] * 2)),
    "granitemoe": ("q6_k", config("granitemoe")),
    "glm4_moe": ("int8-min", config("glm4_moe", **GROUPS)),
}
LENGTH = 24
TOKENS = np.random.default_rng(13).integers(0, 211, LENGTH).tolist()


class Both:
    """A model's folder, and its logits and experts by NumPy: ids [layers, T, top_k]."""

    def __init__(self, at: Path, form: str, c: dict[str, Any]) -> None:
        held = tensors(c, (FORMS | {"e2m1": E2M1})[form])
        self.folder, model = folder(at, c, held), models.load(c, bind(held, "int8"))
        ids: list[NDArray[np.int64]] = []

        def keep(*given: Any) -> Any:
            routed = route(*given)
            ids.append(routed.ids)
            return routed

        route = reference.route
        with patch.object(reference, "route", keep):
            cache = Cache.empty(model.shape.layers, arithmetic="native")
            self.logits = model.forward(Step.of([(0, 0, TOKENS)]), cache)
        self.ids = np.array(ids)

    def native(self) -> NativeRunner:
        settings = EngineConfig(threads=2, max_step_tokens=64, cache_bytes=1 << 24)
        return NativeRunner(self.folder, settings, trace=True)

    def error(self) -> NDArray[np.float64]:
        """[T], in parts of the logits' spread; the text in two chunks."""
        r = self.native()
        got = [r.logits(step([(0, a, TOKENS[a:b])])) for a, b in ((0, 20), (20, LENGTH))]
        far: NDArray[np.float64] = np.abs(np.concatenate(got) - self.logits).max(1)
        return far / self.logits.std()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    at = tmp_path_factory.mktemp("mixtures")
    return {case: Both(at / str(i), *CASES[case]) for i, case in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES)
def test_native_logits_are_numpys(isa: str, both: dict[str, Both], case: str) -> None:
    far = both[case].error()
    assert np.median(far) < 0.02 and far.max() < 0.25


def test_most_models_differ_by_rounding_alone(isa: str, both: dict[str, Both]) -> None:
    assert np.median([both[case].error().max() for case in CASES]) < 2e-4


@pytest.mark.parametrize("case", CASES)
def test_tokens_go_to_the_same_experts(isa: str, both: dict[str, Both], case: str) -> None:
    got = both[case].native().routes(step([(0, 0, TOKENS)]))
    same = (got == both[case].ids).all(-1)
    assert got.shape == both[case].ids.shape and same.mean() > 0.95
    assert len(np.unique(got)) > 3, "the routers choose nothing"
