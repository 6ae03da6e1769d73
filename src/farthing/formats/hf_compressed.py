"""compressed-tensors checkpoints, as llm-compressor writes them: packed or plain whole numbers.

    X.weight_packed      int32 [N, ceil(K bits / 32)], codes along the inputs (pack-quantized)
    X.weight             int8 [N, K] (int-quantized)
    X.weight_scale       [N, G], or one for all
    X.weight_zero_point  int32 [ceil(N bits / 32), G], packed along the outputs, or int8 [N, G]
    X.weight_shape       int64 [2]: N and K, with weight_packed

Which scheme of `config_groups` a tensor has, its own shapes tell: `targets` and `ignore`, which
hold regular expressions of whoever made the file, are never run. Quantized activations are let
pass where they are int8 and scaled as they come: farthing's own arithmetic is that, and finer (a
scale for 32 numbers, not for a token).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.hf_codes import Codes, Scheme, check_shape, scheme, unpacked, words_for
from farthing.formats.hf_gptq import check_order, refuse_others
from farthing.formats.hf_raw import LONG, WORDS, Raw, Unquantized, beside
from farthing.formats.hf_sheets import FLOATS, Numbers, Sheet

PACKED, PLAIN = ".weight_packed", ".weight"
PARTS = (".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx")
MOST_GROUPS = 1024
_LAYOUTS = ("pack-quantized", "int-quantized", "naive-quantized", "mixed-precision")
_KNOWN: dict[str, tuple[Any, ...]] = {
    "format": _LAYOUTS,
    "quantization_status": ("compressed",),
    "kv_cache_scheme": ({},),
    "transform_config": ({},),
    "moe_sparsity_config": ({},),
    "sparsity_config": ({}, {"format": "dense"}),
}
_KNOWN_GROUP: dict[str, tuple[Any, ...]] = {
    "format": _LAYOUTS[:3],
    "output_activations": ({},),
}
_KNOWN_WEIGHTS: dict[str, tuple[Any, ...]] = {
    "type": ("int",),
    "strategy": ("group", "channel", "tensor"),
    "dynamic": (False,),
    "actorder": (False, True, "weight", "static", "group", "dynamic"),
}
_KNOWN_INPUTS: dict[str, tuple[Any, ...]] = {
    "type": ("int",),
    "num_bits": (8,),
    "dynamic": (True,),
}


@dataclass(frozen=True, slots=True)
class Integers:
    """Implements `hf_codes.Origin`: words of codes along the inputs, or int8 as they are."""

    what: str
    scheme: Scheme
    columns: int
    weight: NDArray[Any]
    zero: NDArray[Any] | None

    def codes(self, rows: slice) -> NDArray[np.uint8]:
        if self.weight.dtype == np.uint8:
            return self.weight[rows] ^ np.uint8(128)  # less -128: flip the sign bit
        return unpacked(self.weight[rows], self.scheme.bits)[:, : self.columns]

    def zeros(self, rows: slice) -> NDArray[np.uint8] | None:
        if self.zero is None:
            return None
        if self.zero.dtype != np.uint8:
            return unpacked(self.zero.T, self.scheme.bits)[:, rows].T
        middle = 1 << (self.scheme.bits - 1)
        found = self.zero[rows].view(np.int8).astype(np.int16) + middle
        if np.any(found < 0) or np.any(found >= 2 * middle):
            raise FormatError(f"{self.what}: a zero beyond {self.scheme.bits} bits; it is damaged")
        return found.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Compressed(Unquantized):
    schemes: tuple[Scheme, ...]

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        stem, dot, part = name.rpartition(".")
        if dot + part not in PARTS:
            return None
        return stem + (PACKED if stem + PACKED in raws else PLAIN)

    def ours(self, name: str) -> str:
        return name.removesuffix("_packed") if name.endswith(PACKED) else name

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        stem = self.ours(raw.name).removesuffix(PLAIN)
        if not raw.name.endswith(PACKED) and f"{stem}.weight_scale" not in raws:
            return Unquantized.sheets(self, raw, raws)
        if len(raw.shape) != 2:
            raise FormatError(f"{raw.what}: shape {list(raw.shape)}; two dimensions expected")
        rows, columns = raw.shape if raw.tensor.dtype == "I8" else _shape(raw, stem, raws)
        scale, zero = beside(raw, f"{stem}.weight_scale", raws), raws.get(stem + PARTS[1])
        weight = raw.array("I8") if raw.name.endswith(PLAIN) else raw.array(WORDS)
        scheme = self._scheme(raw, columns, scale, zero)
        if (index := raws.get(f"{stem}.weight_g_idx")) is not None:
            _check_index(index, columns, scheme)
        groups = scheme.groups(columns)
        made = Codes(
            what=raw.what,
            scheme=scheme,
            columns=columns,
            scales=Numbers(scale.tensor.dtype, _each(scale, scale.array(*FLOATS), rows, groups)),
            origin=Integers(raw.what, scheme, columns, weight, _zeros(zero, rows, groups, scheme)),
            rows=range(rows),
        )
        return [made]

    def _scheme(self, raw: Raw, columns: int, scale: Raw, zero: Raw | None) -> Scheme:
        """The one that makes such shapes; with zeros, one that has them rather than not."""
        for one in sorted(self.schemes, key=lambda scheme: scheme.symmetric == (zero is not None)):
            wide = columns if raw.tensor.dtype == "I8" else words_for(columns, one.bits)
            fits = wide == raw.shape[1] and (one.bits == 8 or raw.name.endswith(PACKED))
            counts = (one.groups(columns),) if len(scale.shape) == 2 else (1,)
            if fits and scale.shape[-1:] == counts and (one.symmetric or zero is not None):
                return one
        told = "; ".join(
            f"{one.bits} bits, groups of {one.group or 'a row'}" for one in self.schemes
        )
        raise FormatError(
            f"{raw.what}: shape {list(raw.shape)} with scales {list(scale.shape)} and"
            f" {'zeros' if zero else 'no zeros'}, for {columns} inputs; config_groups has {told}"
        )


def compressed_settings(folder: Path, settings: Mapping[str, Any]) -> Compressed:
    """Raises FormatError naming the setting that is not read."""
    what = f"{folder}: quantization_config"
    refuse_others(what, settings, _KNOWN)
    groups = settings.get("config_groups")
    if not isinstance(groups, dict) or not 0 < len(groups) <= MOST_GROUPS:
        raise FormatError(f"{what} has config_groups {groups!r:.80}; an object expected")
    found = [_group(f"{what}: {name[:80]}", group) for name, group in groups.items()]
    return Compressed(tuple(dict.fromkeys(found)))


def _group(what: str, group: Any) -> Scheme:
    if not isinstance(group, dict) or not isinstance(group.get("weights"), dict):
        raise FormatError(f"{what} is {group!r:.80}; an object with weights expected")
    refuse_others(what, group, _KNOWN_GROUP)
    weights, inputs = group["weights"], group.get("input_activations")
    refuse_others(f"{what}.weights", weights, _KNOWN_WEIGHTS)
    if inputs is not None:
        if not isinstance(inputs, dict) or inputs.get("dynamic") is not True:
            raise FormatError(
                f"{what} has input_activations {inputs!r:.80}; only those that are quantized as"
                f" they come (dynamic) to int8 are read: pull a version with weights alone"
            )
        refuse_others(f"{what}.input_activations", inputs, _KNOWN_INPUTS)
    size = weights.get("group_size")
    whole = weights.get("strategy") in ("channel", "tensor") or size is None
    symmetric = weights.get("symmetric", True)
    return scheme(f"{what}.weights", weights.get("num_bits", 8), -1 if whole else size, symmetric)


def _shape(raw: Raw, stem: str, raws: Mapping[str, Raw]) -> tuple[int, int]:
    """Rows and columns as weight_shape has them. Their words are counted in `_scheme`."""
    shape = beside(raw, f"{stem}.weight_shape", raws)
    check_shape(shape.what, "shape", shape.shape, (2,))
    rows, columns = (int(number) for number in shape.array(LONG, WORDS))
    if rows != raw.shape[0] or not 0 < columns <= 32 * raw.shape[1]:
        raise FormatError(f"{shape.what} says {rows} x {columns}; {list(raw.shape)} are packed")
    return rows, columns


def _each(scale: Raw, numbers: NDArray[Any], rows: int, groups: int) -> NDArray[Any]:
    """[N, G], of which one for the whole matrix may be given."""
    if numbers.size == 1:
        return np.broadcast_to(numbers.reshape(1, 1), (rows, groups))
    check_shape(scale.what, "numbers", scale.shape, (rows, groups))
    return numbers


def _zeros(zero: Raw | None, rows: int, groups: int, scheme: Scheme) -> NDArray[Any] | None:
    if zero is None:
        return None
    numbers = zero.array(WORDS, "I8")
    if zero.tensor.dtype == "I8":
        return _each(zero, numbers, rows, groups)
    check_shape(zero.what, "zeros", zero.shape, (words_for(rows, scheme.bits), groups))
    return numbers


def _check_index(index: Raw, columns: int, scheme: Scheme) -> None:
    """-1 throughout stands for the order that there is without any."""
    check_shape(index.what, "groups of", index.shape, (columns,))
    if not np.all(index.array(WORDS) == np.uint32(0xFFFFFFFF)):
        check_order(index, columns, scheme)
