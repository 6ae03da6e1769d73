"""Writes a Hugging Face folder in compressed-tensors' layout, which vLLM and transformers load.

Codes, scales and whole-number zeros go over as they are; a minimum that is no whole number of
scales has no counterpart there, and is refused. Embeddings and routers that hold codes are no
linears to those who load the folder: they become bf16, which is told.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from farthing.errors import FormatError
from farthing.formats.hf_packing import ROWS, Scheme, heads, parts, scheme_of
from farthing.formats.hf_published import EMBEDDING, HEAD, family, published
from farthing.formats.safetensors import Head, Writer
from farthing.formats.types import ROUNDED, Layout, Shape, Tensors
from farthing.weight import Form, Matrix, dense

SHARD = 4 << 30
"""Bytes of tensors in a file, unless one alone is larger."""
PIECE = 1 << 23
"""Weights taken at once."""
CODES, HALF = "weight_packed", "F16"


@dataclass(frozen=True, slots=True)
class Item:
    """One matrix or vector as it will lie in the folder. scheme: of those that keep their codes."""

    ours: str
    index: int | None
    theirs: str
    shape: Shape
    form: Form | None
    scheme: Scheme | None

    @property
    def module(self) -> str:
        return self.theirs.removesuffix(".weight")

    def heads(self) -> dict[str, Head]:
        if self.form is None:
            return {self.theirs: Head("F32", self.shape)}
        if self.scheme is None:
            return {self.theirs: Head("BF16", self.shape)}
        found = heads(self.form, self.shape)
        return {f"{self.module}.{name}": head for name, head in found.items()}


def check(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> list[str]:
    """What `write` would store otherwise than it is, one line each; nothing is read or written.

    Raises FormatError naming a tensor whose form has no exact counterpart, or a family that isn't
    written, and what to do instead: ask before hours of quantizing.
    """
    items = _items(config, layouts)
    _groups(items)
    told = [
        f"{item.ours}: {item.form.bits}-bit codes become bf16, as those who load it expect:"
        f" {(2 * prod(item.shape) - item.form.bytes(*item.shape)) / 1e6:.1f} MB more"
        for item in items
        if item.form is not None and item.form.bits < 16 and item.scheme is None
    ]
    kept = [item for item in items if item.scheme]
    if any(item.form and item.form.scale == "f16" for item in kept):
        told.append(
            "scales are fp16: exact when loaded with dtype float32 or float16; bfloat16 rounds"
            " each by up to 1/512"
        )
    if any(item.scheme and not item.scheme.symmetric for item in kept):
        told.append(
            "codes have zeros: transformers loads them with"
            " CompressedTensorsConfig(dequantize=True) only"
        )
    return told


def write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    *,
    files: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write into `folder`, which exists and is empty; the lines of `check`.

    config: config.json's keys, as readers hand them out. files: further texts by their names
    (tokenizer.json, ...). `progress` hears bytes done and bytes in all. The caller makes the folder
    appear whole: writes beside and renames. Raises as `check` does.
    """
    layouts = {name: tensors.layout(name) for name in tensors.names()}
    told = check(config, layouts)
    items = _items(config, layouts)
    settings = json.dumps(_config(config, items), indent=2)
    for name, text in {**files, "config.json": settings}.items():
        (folder / name).write_text(text, "utf-8")
    shards = _shards(items)
    total = sum(head.bytes for item in items for head in item.heads().values())
    done = 0
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = "model.safetensors"
        if len(shards) > 1:
            name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        found = {one: head for item in shard for one, head in item.heads().items()}
        places |= dict.fromkeys(found, name)
        with Writer(folder / name, found, {"format": "pt"}) as out:
            for item in shard:
                _put(out, tensors, item)
                done += sum(head.bytes for head in item.heads().values())
                progress(done, total)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    return told


def _items(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> list[Item]:
    kind = family(config)
    return [
        Item(name, index, published(kind, name, index), shape, layout.form, scheme)
        for name, layout in layouts.items()
        for index, shape, scheme in _each(name, layout)
    ]


def _each(name: str, layout: Layout) -> Iterator[tuple[int | None, Shape, Scheme | None]]:
    """Index, shape and scheme of every matrix of a stack, or of all else alone."""
    form, shape, scheme = layout.form, layout.shape, None
    stack = form is not None and len(shape) == 3
    if form is None and len(shape) != 1:
        raise FormatError(f"{name}: a table {list(shape)}, which no family that is written has")
    if form is not None and form.bits < 16 and name != EMBEDDING and not name.endswith(ROUNDED):
        scheme = scheme_of(name, form, shape[-1])
    if stack and scheme and not scheme.symmetric:
        raise FormatError(
            f"{name}: experts with zeros, which neither vLLM nor transformers loads; quantize them"
            f" without a minimum"
        )
    for index in range(shape[0]) if stack else [None]:
        yield index, shape[1:] if stack else shape, scheme


def _groups(items: list[Item]) -> dict[Scheme, list[str]]:
    """The modules of each scheme; the first of them is that of all experts, or the commonest."""
    found: dict[Scheme, list[str]] = {}
    for item in items:
        if item.scheme:
            found.setdefault(item.scheme, []).append(item.module)
    routed = {item.scheme: item.ours for item in items if item.index is not None}
    if len(routed) > 1:
        names = " and ".join(list(routed.values())[:2])
        raise FormatError(
            f"{names}: experts in several forms, which transformers doesn't load; give all of them"
            f" one form"
        )
    experts = next(iter(routed), None)
    order = sorted(found, key=lambda scheme: (scheme != experts, -len(found[scheme])))
    return {scheme: found[scheme] for scheme in order}


def _config(config: Mapping[str, Any], items: list[Item]) -> dict[str, Any]:
    """With quantization_config, where anything is quantized."""
    made = dict(config)
    if not {"dtype", "torch_dtype"} & made.keys():
        made["torch_dtype"] = "bfloat16"
    groups = _groups(items)
    if not groups:
        return made
    floats = [
        item.module
        for item in items
        if item.form is not None and item.scheme is None and item.ours != EMBEDDING
    ]
    if all(item.ours != HEAD for item in items):
        floats.append(HEAD.removesuffix(".weight"))  # tied: a linear all the same
    made["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            f"group_{at}": {
                "targets": modules if at else ["Linear"],
                "weights": scheme.weights(),
                "input_activations": None,
                "output_activations": None,
            }
            for at, (scheme, modules) in enumerate(groups.items())
        },
        "ignore": floats,
        "kv_cache_scheme": None,
    }
    return made


def _shards(items: list[Item]) -> list[list[Item]]:
    made: list[list[Item]] = [[]]
    held = 0
    for item in items:
        size = sum(head.bytes for head in item.heads().values())
        if made[-1] and held + size > SHARD:
            made.append([])
            held = 0
        made[-1].append(item)
        held += size
    return made


def _put(out: Writer, tensors: Tensors, item: Item) -> None:
    """The numbers of one item, some rows at a time."""
    if item.form is None:
        out.put(item.theirs, np.asarray(tensors.tensor(item.ours), "<f4"))
        return
    rows, columns = item.shape
    if item.scheme is not None:
        out.put(f"{item.module}.weight_shape", np.array([rows, columns], "<i8"))
    step = max(PIECE // columns // ROWS, 1) * ROWS
    at = dict.fromkeys(item.heads(), 0)
    for first in range(0, rows, step):
        part = tensors.tensor(item.ours, slice(first, min(first + step, rows)), item.index)
        assert isinstance(part, Matrix)
        if item.scheme is None:
            pieces = {item.theirs: _floats(part)}
        else:
            found = parts(item.ours, part)
            pieces = {f"{item.module}.{name}": data for name, data in found}
        for name, data in pieces.items():
            out.put(name, data, at[name])
            at[name] += data.nbytes


def _floats(matrix: Matrix) -> Any:
    whole = matrix if matrix.form.bits == 16 else dense(matrix.dequantize())
    return whole.codes.astype("<u2")
