"""The fields of a recipe's [model]: all of them are what its page reads, and none is passed over.

A page fills in what is missing, so that a name with a slip in it would train another model.
"""

from collections.abc import Mapping
from typing import Any

from farthing import models
from farthing.errors import FormatError
from farthing.models.deepseek_mtp import next_token_tensors

OTHERS = frozenset(
    {
        "architectures",
        "attention_dropout",
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "initializer_range",
        "num_nextn_predict_layers",
        "pad_token_id",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
"""Fields of a config.json that no page reads, and other programs do."""


def check(config: Mapping[str, Any], *, next_token: bool, length: int) -> None:
    """Raises FormatError for an impossible shape, for a field that nobody reads, and if rows of
    `length` tokens are longer than the model is for."""
    models.tensors_of(config)
    if next_token:
        next_token_tensors(config)
    for name in sorted(set(config) - OTHERS):
        if not _reads(config, name):
            raise FormatError(
                f"{name} is nothing that {config['model_type']} with these other fields makes use"
                " of; remove or correct it"
            )
    longest = config["max_position_embeddings"]
    if length > longest:
        raise FormatError(
            f"max_position_embeddings is {longest}; expected at least data.length = {length}"
        )


def _reads(config: Mapping[str, Any], name: str) -> bool:
    """Whether a page looks at a field: then it can't do with an object that is no value at all."""
    try:
        models.tensors_of({**config, name: object()})
    except (FormatError, TypeError, AttributeError):
        return True
    return False
