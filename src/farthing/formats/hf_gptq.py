"""GPTQ checkpoints (Frantar et al., arXiv 2210.17323), as AutoGPTQ and GPTQModel write them.

X.qweight   int32 [K / (32 / bits), N], codes of one output packed along the inputs
X.qzeros    int32 [G, N / (32 / bits)], packed along the outputs; "gptq" stores them less one
X.scales    [G, N]
X.g_idx     int32 [K], the group of each input
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.hf_codes import Codes, Scheme, check_shape, scheme, unpacked, words_for
from farthing.formats.hf_raw import WORDS, Raw, Unquantized, beside
from farthing.formats.hf_sheets import FLOATS, Numbers, Sheet

WEIGHT = ".qweight"
PARTS = (".qzeros", ".scales", ".g_idx")
_ONES = {4: np.uint32(0x11111111), 8: np.uint32(0x01010101)}
_KNOWN: dict[str, tuple[Any, ...]] = {
    "checkpoint_format": ("gptq", "gptq_v2"),
    "format": ("gptq", "gptq_v2"),
    "pack_dtype": ("int32",),
    "is_marlin_format": (False,),
    "dynamic": ({},),
    "rotation": ({},),
    "activation": ({},),
    "adapter": ({},),
}
"""What is read of settings that change the layout; absent or null is fine too."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Implements `hf_codes.Origin`. qweight [K words, N], qzeros [G, N words]."""

    scheme: Scheme
    less_one: bool
    qweight: NDArray[np.uint32]
    qzeros: NDArray[np.uint32]

    def codes(self, rows: slice) -> NDArray[np.uint8]:
        return unpacked(self.qweight[:, rows].T, self.scheme.bits)

    def zeros(self, rows: slice) -> NDArray[np.uint8]:
        """GPTQModel takes one from a whole word, so that a zero of 0 borrows from the next code;
        one is added so too."""
        words = self.qzeros
        if self.less_one:
            words = words + _ONES[self.scheme.bits]
        return unpacked(words, self.scheme.bits)[:, rows].T


@dataclass(frozen=True, slots=True)
class Gptq(Unquantized):
    scheme: Scheme
    less_one: bool
    """Whether zeros are stored less one, as version 1 does."""

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        return owner(name, raws)

    def ours(self, name: str) -> str:
        return ours(name)

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        if not raw.name.endswith(WEIGHT):
            return Unquantized.sheets(self, raw, raws)
        stem = raw.name.removesuffix(WEIGHT)
        qzeros, scales = (beside(raw, stem + part, raws) for part in PARTS[:2])
        per = 32 // self.scheme.bits
        columns, rows = raw.shape[0] * per, raw.shape[1]
        groups = self.scheme.groups(columns)
        check_shape(scales.what, "scales", scales.shape, (groups, rows))
        words = words_for(rows, self.scheme.bits)
        check_shape(qzeros.what, "zeros", qzeros.shape, (groups, words))
        if (index := raws.get(f"{stem}.g_idx")) is not None:
            check_order(index, columns, self.scheme)
        origin = Packed(self.scheme, self.less_one, raw.array(WORDS), qzeros.array(WORDS))
        numbers = Numbers(scales.tensor.dtype, scales.array(*FLOATS).T)
        made = Codes(
            what=raw.what,
            scheme=self.scheme,
            columns=columns,
            scales=numbers,
            origin=origin,
            rows=range(rows),
        )
        return [made]


def gptq_settings(folder: Path, settings: Mapping[str, Any]) -> Gptq:
    """Raises FormatError naming the setting that is not read."""
    what = f"{folder}: quantization_config"
    refuse_others(what, settings, _KNOWN)
    found = scheme(
        what, settings.get("bits"), settings.get("group_size"), settings.get("sym", True)
    )
    versions = {settings.get(key) for key in ("checkpoint_format", "format")} - {None}
    if len(versions) > 1:
        raise FormatError(f"{what} has checkpoint_format and format, and they differ")
    return Gptq(found, "gptq_v2" not in versions)


def owner(name: str, raws: Mapping[str, Raw]) -> str | None:
    """The packed weight that scales, zeros or an index belong to."""
    stem, dot, part = name.rpartition(".")
    return stem + WEIGHT if dot + part in PARTS else None


def ours(name: str) -> str:
    return f"{name.removesuffix(WEIGHT)}.weight" if name.endswith(WEIGHT) else name


def refuse_others(
    what: str, settings: Mapping[str, Any], known: Mapping[str, tuple[Any, ...]]
) -> None:
    for name, values in known.items():
        if settings.get(name) is not None and settings[name] not in values:
            shown = " or ".join(repr(value) for value in values)
            raise FormatError(f"{what} has {name} {settings[name]!r:.80}; {shown} is what is read")


def check_order(index: Raw, columns: int, scheme: Scheme) -> None:
    """FormatError unless the groups are runs of columns in order."""
    check_shape(index.what, "groups of", index.shape, (columns,))
    expected = np.arange(columns) // (scheme.group or columns)
    found = index.array(WORDS)
    if not np.array_equal(found, expected):
        at = int(np.argmax(found != expected))
        raise FormatError(
            f"{index.what}: column {at} is of group {found[at]}, not {expected[at]}: the columns"
            f" were put in another order (desc_act, actorder group), which the kernels can't"
            f" undo; pull a version made without it, or with static groups"
        )
