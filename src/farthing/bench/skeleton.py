"""A model's shape without its weights: a config.json that ships here or lies in a folder, cut to
some layers, and what its tensors are."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from farthing import models
from farthing.errors import InputError, NotFound
from farthing.formats.types import Shape, json_object

SHIPPED = "shapes"
MOST_CONFIG = 1 << 22


@dataclass(frozen=True, slots=True)
class Skeleton:
    name: str
    config: dict[str, Any]
    tensors: dict[str, Shape]
    """By canonical name, as models.tensors_of says."""

    @property
    def layers(self) -> int:
        return int(self.config["num_hidden_layers"])

    def digest(self, *about: object) -> str:
        """Names what is made of this config, and of what else it is made."""
        text = json.dumps([self.config, *about], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read(what: str, layers: int | None = None) -> Skeleton:
    """`what` is one of `names()`, or a path: a config.json, or a folder with one."""
    config = _config(what)
    name = Path(what).resolve().stem if _is_path(what) else what
    if Path(what).name == "config.json":
        name = Path(what).resolve().parent.name
    if layers is not None:
        config = cut(config, layers)
        name += f"-{layers}-layers"
    return Skeleton(name, config, models.tensors_of(config))


def names() -> list[str]:
    """Of the configs that ship with farthing."""
    folder = files("farthing.bench") / SHIPPED
    return sorted(Path(entry.name).stem for entry in folder.iterdir())


def cut(config: dict[str, Any], layers: int) -> dict[str, Any]:
    """The same model with its first `layers` layers alone."""
    whole = config.get("num_hidden_layers")
    if not isinstance(whole, int) or not 1 <= layers <= whole:
        raise InputError(f"{layers} layers of a model that has {whole}; ask for 1 to {whole}")
    out = config | {"num_hidden_layers": layers}
    if isinstance(kinds := config.get("layer_types"), list):
        out["layer_types"] = kinds[:layers]
    if isinstance(dense := config.get("mlp_only_layers"), list):
        out["mlp_only_layers"] = [index for index in dense if index < layers]
    return out


def _config(what: str) -> dict[str, Any]:
    if not _is_path(what):
        if what not in names():
            raise NotFound(
                f"no config is called {what[:200]!r}; these ship with farthing:"
                f" {', '.join(names())}; or give a folder that holds a config.json"
            )
        shipped = files("farthing.bench") / SHIPPED / f"{what}.json"
        return json_object(shipped.read_bytes(), f"{what}.json")
    path = Path(what).expanduser()
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise NotFound(f"{path}: no such file; --config takes a folder that holds a config.json")
    if path.stat().st_size > MOST_CONFIG:
        raise InputError(f"{path}: {path.stat().st_size} bytes; that is no config.json")
    return json_object(path.read_bytes(), str(path))


def _is_path(what: str) -> bool:
    return "/" in what or what.endswith(".json") or what in (".", "..")
