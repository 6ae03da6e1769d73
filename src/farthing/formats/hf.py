"""A Hugging Face folder as a checkpoint: config.json, safetensors shards, tokenizer files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats import safetensors
from farthing.formats.types import ALL, Layout, Vector, json_object
from farthing.weight import BF16, Matrix, bf16_to_f32, dense

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
TEMPLATE = "chat_template.jinja"
MOST_TEXT = 1 << 28
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class HuggingFace:
    """Implements `formats.types.Checkpoint`. Numbers of F16 and F32 matrices round to bf16."""

    kind = "huggingface"
    metadata: Mapping[str, Any] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = config_of(folder)
        self.files = shards(folder)
        self._tensors = _read(self.files, tied=bool(self.config.get("tie_word_embeddings")))
        path = folder / "generation_config.json"
        self.generation = read_object(path) if path.exists() else {}
        self.unused: list[str] = []

    def names(self) -> list[str]:
        return list(self._tensors)

    def layout(self, name: str) -> Layout:
        shape = self._tensors[name].shape
        return Layout(shape, BF16 if len(shape) == 2 else None)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
        """The numbers of one tensor, its matrices in bf16."""
        assert index is None, f"{name} is no stack"
        tensor = self._tensors[name]
        raw = tensor.data.view(_FLOATS[tensor.dtype]).reshape(tensor.shape)
        if len(tensor.shape) == 1:
            return _floats(tensor.dtype, raw)
        if tensor.dtype == "BF16":
            return Matrix(form=BF16, codes=raw[rows])
        return dense(_floats(tensor.dtype, raw[rows]))

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
    """config.json; FormatError if it is damaged, or speaks of quantized weights."""
    config = read_object(folder / "config.json")
    _refuse_quantized(folder, config)
    return config


def _refuse_quantized(folder: Path, config: Mapping[str, Any]) -> None:
    found = config.get("quantization_config", config.get("compression_config"))
    if found:
        method = found.get("quant_method") if isinstance(found, dict) else found
        raise FormatError(
            f"{folder}: the weights are quantized by {method!r:.80}, which is not read;"
            f" pull the original in bf16, or a GGUF file"
        )


def _read(files: list[Path], *, tied: bool) -> dict[str, safetensors.Tensor]:
    found: dict[str, safetensors.Tensor] = {}
    for path in files:
        if not path.exists():
            raise FormatError(f"{path}: is missing, and the index names it; pull the model again")
        for name, tensor in safetensors.read(path).tensors.items():
            if name in found:
                raise FormatError(f"{path}: tensor {name[:80]!r} is in another shard too")
            if not _unused(name, tied=tied):
                _check(f"{path}: tensor {name[:80]!r}", tensor)
                found[name] = tensor
    return found


def _unused(name: str, *, tied: bool) -> bool:
    """Copies of the embedding, and tables that follow from config.json."""
    return name.endswith("rotary_emb.inv_freq") or (tied and name == "lm_head.weight")


def _check(what: str, tensor: safetensors.Tensor) -> None:
    if tensor.dtype not in _FLOATS:
        raise FormatError(f"{what}: dtype {tensor.dtype}; read are {', '.join(_FLOATS)}")
    if len(tensor.shape) not in (1, 2) or min(tensor.shape) < 1:
        raise FormatError(f"{what}: shape {list(tensor.shape)}; [N] or [N, K] expected")


def _floats(dtype: str, raw: NDArray[Any]) -> NDArray[np.float32]:
    return bf16_to_f32(raw) if dtype == "BF16" else raw.astype(np.float32)


_FLOATS = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}
