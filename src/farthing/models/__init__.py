"""One page for each architecture family. Knows no files, threads or HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.models.deepseek import Deepseek
from farthing.models.deepseek_v2 import DeepseekV2
from farthing.models.deepseek_v3 import DeepseekV3
from farthing.models.glm4_moe import Glm4Moe
from farthing.models.gpt_oss import GptOss
from farthing.models.granitemoe import GraniteMoe
from farthing.models.llama import Llama, Mistral
from farthing.models.mixtral import Mixtral
from farthing.models.olmoe import Olmoe
from farthing.models.qwen2 import Qwen2
from farthing.models.qwen2_moe import Qwen2Moe
from farthing.models.qwen3 import Qwen3
from farthing.models.qwen3_moe import Qwen3Moe
from farthing.models.tensors import Tensors
from farthing.models.types import Model, Weights

TABLE: dict[str, Callable[[Mapping[str, Any], Tensors], Model]] = {
    "deepseek": Deepseek,
    "deepseek_v2": DeepseekV2,
    "deepseek_v3": DeepseekV3,
    "glm4_moe": Glm4Moe,
    "gpt_oss": GptOss,
    "granitemoe": GraniteMoe,
    "kimi_k2": DeepseekV3,
    "llama": Llama,
    "mistral": Mistral,
    "mixtral": Mixtral,
    "olmoe": Olmoe,
    "qwen2": Qwen2,
    "qwen2_moe": Qwen2Moe,
    "qwen3": Qwen3,
    "qwen3_moe": Qwen3Moe,
}


def family(config: Mapping[str, Any]) -> str:
    """The model_type of a config.json. FormatError if farthing does not run it."""
    name = config.get("model_type")
    if isinstance(name, str) and name in TABLE:
        return name
    remote = ""
    if "auto_map" in config:
        remote = " (its auto_map names code that comes with it, and none is ever run)"
    raise FormatError(
        f"config.json: model_type is {name!r:.80}, which farthing does not run{remote};"
        f" it runs: {', '.join(sorted(TABLE))}"
    )


def load(config: Mapping[str, Any], weights: Weights) -> Model:
    """The model of a config.json with its weights.

    FormatError if its family is not known, if a tensor is missing or of another shape, and if
    there is one that the family has no use for: nothing is skipped silently.
    """
    tensors = Tensors(weights)
    model = TABLE[family(config)](config, tensors)
    if left := tensors.left():
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise FormatError(
            f"tensor {left[0][:80]!r}{more} in the checkpoint: {config['model_type']} with this"
            " config.json has no use for it; fetch the model again, or correct its config.json"
        )
    return model


def tensors_of(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors that a config.json calls for."""
    tensors = Tensors(None)
    TABLE[family(config)](config, tensors)
    return tensors.taken
