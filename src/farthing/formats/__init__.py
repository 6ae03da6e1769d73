"""Checkpoints in the formats that others publish, and our own packed one.

`open(path)` looks at the bytes, never at a file's name.
"""

from pathlib import Path

from farthing.errors import FormatError, NotFound
from farthing.formats.gguf import Gguf
from farthing.formats.gguf_file import MAGIC
from farthing.formats.hf import HuggingFace
from farthing.formats.types import Checkpoint


def open(path: Path) -> Checkpoint:
    """A published checkpoint: a GGUF file, a Hugging Face folder, or a folder with one GGUF file.

    Raises NotFound if there is nothing, FormatError if it is damaged or not understood.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise NotFound(f"{path}: no such file or folder")
    with path.open("rb") as file:
        magic = file.read(9)
    if magic[:4] == MAGIC:
        return Gguf(path)
    raise FormatError(f"{path}: {_guess(path, magic)}")


def _folder(folder: Path) -> Checkpoint:
    if (folder / "config.json").exists():
        return HuggingFace(folder)
    found = sorted(folder.glob("*.gguf"))
    if len(found) == 1:
        return open(found[0])
    if found:
        raise FormatError(f"{folder}: {len(found)} GGUF files; name one: {found[0]}")
    raise FormatError(f"{folder}: neither config.json nor a GGUF file; this is no checkpoint")


def _guess(path: Path, magic: bytes) -> str:
    """What a file is that can't be opened, and what to do."""
    if magic[:4] == b"PK\x03\x04" or magic[:1] == b"\x80":
        return (
            "a pickle, which can run any code and is never opened; look for a safetensors version"
            " of the model, or convert it"
        )
    if magic[8:9] == b"{" or path.suffix == ".safetensors":
        return f"one file of a folder; give the folder: {path.parent}"
    return f"begins with {magic[:8]!r}; a GGUF file or a Hugging Face folder expected"
