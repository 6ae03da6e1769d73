"""One page for each architecture family. Knows no files, threads or HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.models.llama import Llama, Mistral
from farthing.models.qwen2 import Qwen2
from farthing.models.qwen3 import Qwen3
from farthing.models.types import Model, Weights

TABLE: dict[str, Callable[[Mapping[str, Any], Weights], Model]] = {
    "llama": Llama,
    "mistral": Mistral,
    "qwen2": Qwen2,
    "qwen3": Qwen3,
}


def load(config: Mapping[str, Any], weights: Weights) -> Model:
    """The model of a config.json with its weights. FormatError if its family is not known."""
    family = config.get("model_type")
    if not isinstance(family, str) or family not in TABLE:
        raise FormatError(
            f"config.json: model_type is {family!r}, which farthing does not run;"
            f" it runs: {', '.join(sorted(TABLE))}"
        )
    return TABLE[family](config, weights)
