"""Training's verbs want torch: said once, in the words that help."""

from importlib.util import find_spec

from farthing.errors import InputError


def check(*others: str) -> None:
    """InputError if torch, or another package that is named, is not installed."""
    missing = [name for name in ("torch", "safetensors", *others) if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training needs {' and '.join(missing)}, which is not installed:"
            " `pip install 'farthing[learn]'`"
        )
