"""Our names of tensors and config.json's keys back into those that a family is published under."""

import re
from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError

FAMILIES = ("llama", "mistral", "mixtral", "olmoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe")
"""Those whose folders are written, each checked against transformers."""
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_EXPERTS = re.compile(r"(.+\.mlp)\.experts\.(gate|up|down)_proj\.weight")
_MIXTRAL = {"gate": "w1", "up": "w3", "down": "w2"}


def family(config: Mapping[str, Any]) -> str:
    """The model_type; FormatError for one that is not written."""
    found = config.get("model_type")
    if found not in FAMILIES:
        raise FormatError(
            f"models of type {found!r:.80} are not written as Hugging Face folders; written are"
            f" {', '.join(FAMILIES)}. Write it packed instead"
        )
    return str(found)


def published(family: str, name: str, index: int | None = None) -> str:
    """What a tensor is called; of a stack, its matrix `index`."""
    experts = _EXPERTS.fullmatch(name)
    assert (experts is None) == (index is None), name
    if family == "mixtral":
        if experts:
            stem = experts[1].replace(".mlp", ".block_sparse_moe")
            return f"{stem}.experts.{index}.{_MIXTRAL[experts[2]]}.weight"
        return name.replace(".mlp.gate.", ".block_sparse_moe.gate.")
    if experts:
        return f"{experts[1]}.experts.{index}.{experts[2]}_proj.weight"
    return name
