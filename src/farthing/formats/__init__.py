"""Checkpoints in the formats that others publish, and our own packed one.

`open(path)` looks at the bytes, never at the file's name.
"""

from pathlib import Path

from farthing.errors import FormatError, NotFound
from farthing.formats.gguf import Gguf
from farthing.formats.gguf_file import MAGIC
from farthing.formats.types import Checkpoint


def open(path: Path) -> Checkpoint:
    """A published checkpoint: a GGUF file, or a Hugging Face folder.

    Raises NotFound if there is nothing, FormatError if it is damaged or not understood.
    """
    if not path.exists():
        raise NotFound(f"{path}: no such file or folder")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == MAGIC:
        return Gguf(path)
    raise FormatError(f"{path}: neither a GGUF file nor a Hugging Face folder")
