"""farthing: open-weight language models for the least money on hardware you own, with the bill.

What a program needs to run a model in its own process. Names are fetched when first used, so that
importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farthing.config import EngineConfig as EngineConfig
    from farthing.engine.engine import Engine as Engine
    from farthing.engine.runner import NativeRunner as NativeRunner
    from farthing.engine.types import Request as Request
    from farthing.engine.types import Sampling as Sampling
    from farthing.tokenizer import Tokenizer as Tokenizer

__version__ = "0.1.0"

_HOMES = {
    "Engine": "farthing.engine.engine",
    "EngineConfig": "farthing.config",
    "NativeRunner": "farthing.engine.runner",
    "Request": "farthing.engine.types",
    "Sampling": "farthing.engine.types",
    "Tokenizer": "farthing.tokenizer",
}
__all__ = ["Engine", "EngineConfig", "NativeRunner", "Request", "Sampling", "Tokenizer"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'farthing' has no attribute {name!r}")
