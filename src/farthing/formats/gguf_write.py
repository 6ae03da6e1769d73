"""Writes a GGUF file that llama.cpp loads: Q4_0, Q4_1, Q8_0, BF16 and F32, never requantized.

Codes, scales and minima go over as they are. Groups of 64 and 128 repeat their scale for every 32.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.block_write import F32, Q8_0_OF_4, Kind, kind_of
from farthing.formats.gguf_names import FREQUENCIES, PERMUTED, name_for_gguf
from farthing.formats.gguf_pairs import architecture, frequencies, pairs
from farthing.formats.types import ROUNDED, Layout, Shape, Tensors
from farthing.weight import Form, Matrix

ALIGNMENT = 32
PIECE = 1 << 23
"""Weights taken at once."""
QUERY = "model.layers.0.self_attn.q_proj.weight"
EMBEDDING = "model.embed_tokens.weight"
TOKENS, TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
NORMAL, UNUSED = 1, 5
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_FILE_TYPES = {"F32": 0, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "BF16": 32}
"""`general.file_type`: what most weights are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of the file; heads: how many, where their rows are put in pairs."""

    ours: str
    theirs: str
    shape: Shape
    kind: Kind
    heads: int = 0

    @property
    def bytes(self) -> int:
        return self.kind.size(prod(self.shape[:-1]), self.shape[-1])


def check(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> list[str]:
    """What `write` would store otherwise than it is, one line each; nothing is read or written.

    Raises FormatError naming a tensor whose form has no exact block, or an architecture that isn't
    written, and what to do instead: ask before hours of quantizing.
    """
    pairs(config, _head_dim(config, layouts))
    widened = [entry for entry in _entries(config, layouts) if entry.kind is Q8_0_OF_4]
    if not widened:
        return []
    return [
        f"{len(widened)} tensors of 4 bits with zeros ({widened[0].ours}) become Q8_0: the same"
        " numbers, in 8.5 bits a weight"
    ]


def write(
    path: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    *,
    vocabulary: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write the file; the lines of `check`.

    config: config.json's keys, as readers hand them out. vocabulary: the `tokenizer.*` pairs, from
    `tokenizer.gguf_metadata.metadata(files)` or a GGUF's own. `progress` hears bytes done and bytes
    in all. The caller makes the file appear whole: writes beside and renames. Raises as `check`.
    """
    layouts = {name: tensors.layout(name) for name in tensors.names()}
    told, entries = check(config, layouts), _entries(config, layouts)
    head_dim = _head_dim(config, layouts)
    extra = frequencies(config, head_dim)
    made = pairs(config, head_dim) | _about(entries) | _vocabulary(config, vocabulary)
    if extra is not None:
        entries.append(Entry("", FREQUENCIES, extra.shape, F32))
    total, done = sum(entry.bytes for entry in entries), 0
    with path.open("wb") as file:
        _head(file, made, entries)
        for entry in entries:
            _align(file)
            for piece in [_octets(extra)] if not entry.ours else _pieces(tensors, layouts, entry):
                file.write(np.ascontiguousarray(piece).data)
                done += piece.nbytes
                progress(done, total)
        _align(file)
        file.flush()
        os.fsync(file.fileno())
    assert done == total
    return told


def _entries(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> list[Entry]:
    kind = architecture(config)
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    made = []
    for ours, layout in layouts.items():
        theirs = name_for_gguf(kind, ours)
        if theirs is None:
            raise FormatError(f"tensor {ours}: llama.cpp's {kind} has none such; write it packed")
        shape, block = layout.shape, _kind(ours, layout)
        if ours.endswith("shared_expert_gate.weight"):
            shape = shape[-1:]
        turned = heads.get(ours.split(".")[-2]) if kind in PERMUTED else None
        made.append(Entry(ours, theirs, shape, block, config.get(turned, 0) if turned else 0))
    return made


def _kind(ours: str, layout: Layout) -> Kind:
    form: Form | None = layout.form
    if form is None or (form.bits == 16 and ours.endswith(ROUNDED)):
        return F32  # as llama.cpp's converter has routers
    if ours.endswith("shared_expert_gate.weight"):
        raise FormatError(f"{ours}: {form.name}; llama.cpp takes floats there: keep it in bf16")
    return kind_of(ours, form, layout.shape[-1])


def _head_dim(config: Mapping[str, Any], layouts: Mapping[str, Layout]) -> int:
    """As the tensors have it: families differ in what they take where config.json is silent."""
    if QUERY not in layouts or EMBEDDING not in layouts:
        raise FormatError(f"tensor {QUERY} or {EMBEDDING} is missing; this is no whole model")
    rows, heads = layouts[QUERY].shape[0], config.get("num_attention_heads")
    if type(heads) is not int or heads < 1 or rows % heads:
        raise FormatError(f"config.json: {heads!r:.80} heads, and q_proj has {rows} rows")
    return rows // heads


def _about(entries: list[Entry]) -> dict[str, Any]:
    weights: dict[str, int] = {}
    for entry in entries:
        if len(entry.shape) > 1:
            weights[entry.kind.name] = weights.get(entry.kind.name, 0) + prod(entry.shape)
    common = max(weights, key=lambda name: weights[name])
    return {"general.file_type": _FILE_TYPES[common], "general.quantization_version": 2}


def _vocabulary(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The pairs of the tokenizer; where the embedding has rows for no token, tokens for them."""
    made = {key: value for key, value in given.items() if key.startswith("tokenizer.")}
    tokens = made.get(TOKENS)
    if not isinstance(tokens, list):
        raise FormatError(f"{TOKENS} is missing; without it llama.cpp can't read text")
    rows, types = config["vocab_size"], made.get(TYPES, [NORMAL] * len(tokens))
    if len(tokens) > rows or len(types) != len(tokens):
        raise FormatError(
            f"{len(tokens)} tokens of {len(types)} types for an embedding of {rows} rows; the"
            f" tokenizer is another model's"
        )
    more = range(len(tokens), rows)
    made[TOKENS] = [*tokens, *(f"[PAD{id}]" for id in more)]
    made[TYPES] = [*types, *(UNUSED for _ in more)]
    return made


def _head(file: IO[bytes], made: Mapping[str, Any], entries: list[Entry]) -> None:
    """All that lies before the tensors: pairs, and where each tensor will lie."""
    file.write(b"GGUF" + struct.pack("<IQQ", 3, len(entries), len(made)))
    for key, value in made.items():
        kind, raw = _value(key, value)
        file.write(_text(key) + struct.pack("<I", kind) + raw)
    at = 0
    for entry in entries:
        at += -at % ALIGNMENT
        shape = struct.pack(f"<{len(entry.shape)}Q", *reversed(entry.shape))
        file.write(_text(entry.theirs) + struct.pack("<I", len(entry.shape)) + shape)
        file.write(struct.pack("<IQ", entry.kind.number, at))
        at += entry.bytes


def _value(key: str, value: Any) -> tuple[int, bytes]:
    """Type and bytes of a pair's value. A list holds values of one type."""
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, int) and 0 <= value < 1 << 32:
        return _U32, struct.pack("<I", value)
    if isinstance(value, float):
        return _F32, struct.pack("<f", value)
    if isinstance(value, str):
        return _STRING, _text(value)
    if isinstance(value, list):
        items: list[tuple[int, bytes]] = [
            (_I32, struct.pack("<i", one)) if type(one) is int else _value(key, one)
            for one in value
        ]
        kinds = {kind for kind, _ in items} or {_STRING}
        if len(kinds) == 1 and _ARRAY not in kinds:
            head = struct.pack("<IQ", kinds.pop(), len(items))
            return _ARRAY, head + b"".join(raw for _, raw in items)
    raise FormatError(f"{key} is {value!r:.80}, which GGUF has no type for")


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _align(file: IO[bytes]) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))


def _pieces(
    tensors: Tensors, layouts: Mapping[str, Layout], entry: Entry
) -> Iterator[NDArray[np.uint8]]:
    """The bytes of a tensor, some rows at a time; whole heads, where rows are put in pairs."""
    layout = layouts[entry.ours]
    if layout.form is None:
        values = np.asarray(tensors.tensor(entry.ours), np.float32)
        yield _octets(_paired(values, entry.heads) if entry.heads else values)
        return
    *stack, rows, columns = layout.shape
    head = rows // entry.heads if entry.heads else 1
    step = max(PIECE // columns // head, 1) * head
    for index in range(stack[0]) if stack else [None]:
        for first in range(0, rows, step):
            part = tensors.tensor(entry.ours, slice(first, min(first + step, rows)), index)
            assert isinstance(part, Matrix)
            raw = entry.kind.encode(entry.ours, part)
            yield _paired(raw, len(raw) // head) if entry.heads else raw


def _paired(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Row i of each head, and that of its second half, one after the other: llama.cpp's order."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _octets(values: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values, "<f4").reshape(-1).view(np.uint8)
