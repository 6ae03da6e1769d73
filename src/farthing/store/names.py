"""What models are called and where they lie."""

import re
from pathlib import Path

from farthing.config import home
from farthing.errors import InputError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")


def root() -> Path:
    return home() / "models"


def checked(name: str) -> str:
    """The name, or InputError if it can't be the name of a model (and so of a folder)."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name[:100]!r} can't be a model's name: up to 96 of a-z 0-9 . _ -, the first a letter"
            " or digit"
        )
    return name


def suggested(text: str) -> str:
    """A name made from a file's or a repository's: "SmolLM2 135M.Q4_1" -> "smollm2-135m.q4_1"."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
    return checked(plain[:96])
