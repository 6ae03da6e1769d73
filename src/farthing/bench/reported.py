"""What articles report of models and techniques: claims, each with its source, never ours."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Figures as the source gives them; None where it gives none. `price` is USD for a million
    tokens, `speed` tokens a second, `active` the share of parameters that a token uses, `error`
    what is known to be wrong in it."""

    name: str
    architecture: str
    parameters: str
    mmlu: float
    price: float
    speed: float
    sources: tuple[str, ...]
    """Keys of `sources`."""
    active: float | None = None
    error: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    figure: str
    sources: tuple[str, ...]
    error: str = ""


@cache
def models() -> tuple[Model, ...]:
    return tuple(msgspec.convert(entry, Model) for entry in _book()["model"])


@cache
def claims() -> tuple[Claim, ...]:
    return tuple(msgspec.convert(entry, Claim) for entry in _book()["claim"])


def sources() -> dict[str, str]:
    """Author, title and date by letter."""
    found: dict[str, str] = _book()["sources"]
    return found


@cache
def _book() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "reported.toml").read_text("utf-8"))
