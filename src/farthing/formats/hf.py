"""A Hugging Face folder as a checkpoint: config.json, safetensors shards, tokenizer files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farthing.errors import FormatError
from farthing.formats import safetensors
from farthing.formats.hf_names import left_out, lines
from farthing.formats.hf_quantized import KEYS, quantization_of
from farthing.formats.hf_raw import Raw
from farthing.formats.hf_sheets import layout_of, read, values
from farthing.formats.hf_tensors import assemble
from farthing.formats.types import ALL, Layout, Vector, json_object
from farthing.weight import Matrix

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
TEMPLATE = "chat_template.jinja"
MOST_TEXT = 1 << 28
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class HuggingFace:
    """Implements `formats.types.Checkpoint`. Matrices of F16, F32 and FP8 round to bf16."""

    kind = "huggingface"
    metadata: Mapping[str, Any] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = config_of(folder)
        self.files = shards(folder)
        raws = _read(self.files)
        unused = left_out(raws.keys(), config)
        self.unused = lines(unused)
        kept = {name: raw for name, raw in raws.items() if name not in unused}
        self._parts = assemble(kept, config, quantization_of(folder, config))
        # What is handed out is no longer quantized, or in farthing's own form.
        self.config = {key: value for key, value in config.items() if key not in KEYS}
        path = folder / "generation_config.json"
        self.generation = read_object(path) if path.exists() else {}

    def names(self) -> list[str]:
        return list(self._parts)

    def layout(self, name: str) -> Layout:
        return layout_of(self._parts[name])

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        """The numbers of one tensor; its matrices in bf16, but those published in codes."""
        return read(name, self._parts[name], rows, index)

    def values(self, name: str, index: int | None = None) -> Vector:
        return values(name, self._parts[name], index)

    def tokenizer_files(self) -> dict[str, str]:
        return tokenizer_files(self.folder)


def read_text(path: Path) -> str:
    """A text of bounded size. Raises FormatError if it is missing, too large or not UTF-8."""
    try:
        size = path.stat().st_size
        if size > MOST_TEXT:
            raise FormatError(f"{path}: {size} bytes; at most {MOST_TEXT} are read")
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise FormatError(f"{path}: is missing; a checkpoint folder has one") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: at byte {error.start}: not UTF-8") from error


def read_object(path: Path) -> dict[str, Any]:
    return json_object(read_text(path), str(path))


def tokenizer_files(folder: Path) -> dict[str, str]:
    """tokenizer.json and tokenizer_config.json, where they are; the template joins the latter."""
    found = {name: read_text(folder / name) for name in TOKENIZER if (folder / name).exists()}
    if (folder / TEMPLATE).exists():
        name = "tokenizer_config.json"
        settings = json_object(found.get(name, "{}"), str(folder / name))
        settings["chat_template"] = read_text(folder / TEMPLATE)
        found[name] = json.dumps(settings, ensure_ascii=False)
    return found


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a folder, in order. Raises FormatError if there are none."""
    if (folder / INDEX).exists():
        return [folder / name for name in shard_names(folder / INDEX)]
    found = [folder / SINGLE] if (folder / SINGLE).exists() else []
    found = found or sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles and not found:
        raise FormatError(
            f"{folder}: weights only as {pickles[0]}, a pickle, which can run any code and is"
            f" never opened; look for a safetensors version of the model, or convert it"
        )
    names = ", ".join(path.name for path in found[:5])
    raise FormatError(f"{folder}: {names or 'no safetensors file'}; {SINGLE} or {INDEX} expected")


def shard_names(index: Path) -> list[str]:
    """The plain file names that an index points at."""
    weights = read_object(index).get("weight_map")
    if not isinstance(weights, dict) or not weights:
        raise FormatError(f"{index}: weight_map is {weights!r:.80}; names to files expected")
    for name, file in weights.items():
        if (
            not isinstance(file, str)
            or Path(file).name != file
            or not file.endswith(".safetensors")
        ):
            raise FormatError(f"{index}: {name[:80]!r} is in {file!r:.80}, no plain file name")
    return sorted(set(weights.values()))


def config_of(folder: Path) -> dict[str, Any]:
    """config.json; FormatError if it is damaged, or names a quantization that is not read."""
    config = read_object(folder / "config.json")
    quantization_of(folder, config)
    return config


def _read(files: list[Path]) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for path in files:
        if not path.exists():
            raise FormatError(f"{path}: is missing, and the index names it; pull the model again")
        for name, tensor in safetensors.read(path).tensors.items():
            if name in found:
                raise FormatError(f"{path}: tensor {name[:80]!r} is in another shard too")
            found[name] = Raw(path, name, tensor)
    return found
