"""What /v1/models tells of a model: OpenAI's fields, vLLM's, and ours in an object of their own."""

from typing import Literal

import msgspec

from farthing.evaluate.levers import Lever, Measured


class About(msgspec.Struct, frozen=True, kw_only=True):
    parameters: int
    bits_per_parameter: float
    forms: list[str]
    instruction_set: str
    threads: int
    kv_bits: int
    levers: list[Lever]
    """What changes answers here, each with its measured loss."""
    loss: Measured | None
    """Of all levers together; None if that was not measured."""
    defaults: dict[str, float]
    hour_dollars: float


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created: int
    root: str
    max_model_len: int
    farthing: About
    object: Literal["model"] = "model"
    owned_by: str = "farthing"


class Models(msgspec.Struct, frozen=True):
    data: list[Model]
    object: Literal["list"] = "list"
