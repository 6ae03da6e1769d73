"""Makes lm_eval know `farthing` wherever it begins, once `install` has asked Python to.

lm_eval 0.4 has no door for plugins: its registry is filled by `lm_eval.models`, and read right
after. A line in the environment's site-packages lets this module see that import, and add one name
after it; nothing of farthing but this module is loaded for it.
"""

import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

MODELS = "lm_eval.models"
NAME, TARGET = "farthing", "farthing.evaluate.lm_eval_model:Farthing"
FILE = "farthing_lm_eval.pth"
LINE = (
    "import importlib.util; importlib.util.find_spec('farthing') and"
    " __import__('farthing.evaluate.lm_eval_hook').evaluate.lm_eval_hook.watch()\n"
)
"""Nothing, and no complaint at every start of Python, where farthing is gone again."""


def install(folder: Path | None = None) -> Path:
    """Writes the line into this environment's site-packages; where it stands."""
    path = (folder or Path(sysconfig.get_path("purelib"))) / FILE
    path.write_text(LINE)
    return path


def watch() -> None:
    """From now on an import of lm_eval.models is followed by ours."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


class Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != MODELS:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = Then(spec.loader)
        return spec


class Then(Loader):
    """A module's own loader, and one name more in lm_eval's registry after it."""

    def __init__(self, inner: Loader) -> None:
        self.inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.inner.exec_module(module)
        add()


def add() -> None:
    """Puts our name into the registry; the model's own module is imported when it is asked for."""
    registry = sys.modules["lm_eval.api.registry"].model_registry
    if NAME not in registry:
        registry.register(NAME, target=TARGET)
