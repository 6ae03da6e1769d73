"""FP8 with a scale for a block, and MXFP4: how they are called and lie in safetensors files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.fp8 import fp8
from farthing.formats.hf_raw import Raw, Unquantized
from farthing.formats.hf_sheets import FLOATS, Numbers, Sheet
from farthing.formats.mxfp4 import fp4

_SCALES = "_scale_inv"


@dataclass(frozen=True, slots=True)
class Fp8Blocks(Unquantized):
    """`block`: the rows and columns that share a scale. FP4 may lie among the FP8."""

    block: tuple[int, int]

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        return name.removesuffix(_SCALES) if name.endswith(_SCALES) else None

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        scales = raws.get(raw.name + _SCALES)
        if scales is None:
            if raw.tensor.dtype in ("F8_E4M3", "I8", "U8"):
                raise FormatError(
                    f"{raw.what}: dtype {raw.tensor.dtype}, without {raw.name}{_SCALES}"
                )
            return Unquantized.sheets(self, raw, raws)
        if raw.tensor.dtype in ("I8", "U8"):
            return _fp4(raw, scales)
        kind, values = scales.tensor.dtype, scales.array(*FLOATS, "F8_E8M0")
        pairs = _pairs(raw, raw.array("F8_E4M3"), scales, values)
        return [fp8(raw.what, codes, Numbers(kind, each), self.block) for codes, each in pairs]


class Mxfp4(Unquantized):
    """Experts as X_blocks and X_scales, all else in floats."""

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        return f"{name.removesuffix('_scales')}_blocks" if name.endswith("_scales") else None

    def ours(self, name: str) -> str:
        return name.removesuffix("_blocks")

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        if not raw.name.endswith("_blocks"):
            return Unquantized.sheets(self, raw, raws)
        name = f"{raw.name.removesuffix('_blocks')}_scales"
        if name not in raws:
            raise FormatError(f"{raw.what}: its scales, {name}, are missing")
        return _mxfp4(raw, raws[name])


def fp8_settings(folder: Path, settings: Mapping[str, Any]) -> Fp8Blocks:
    for name, known in {"fmt": "e4m3", "activation_scheme": "dynamic"}.items():
        if settings.get(name) not in (None, known):
            raise FormatError(
                f"{folder}: quantization_config has {name} {settings[name]!r:.80};"
                f" {known} is what is read"
            )
    block = settings.get("weight_block_size")
    if (
        isinstance(block, list)
        and [type(n) is int and 1 <= n <= 1 << 16 for n in block] == [True] * 2
    ):
        return Fp8Blocks((block[0], block[1]))
    raise FormatError(
        f"{folder}: quantization_config has weight_block_size {block!r:.80};"
        f" rows and columns of a block, such as [128, 128], expected"
    )


def _mxfp4(raw: Raw, scales: Raw) -> list[Sheet]:
    """Blocks [E, N, K/32, 16] and scales [E, N, K/32]."""
    blocks, exponents = raw.array("U8"), scales.array("U8")
    if len(raw.shape) != 4 or raw.shape[-1] != 16 or raw.shape[:-1] != scales.shape:
        raise FormatError(
            f"{raw.what}: shape {list(raw.shape)} with scales {list(scales.shape)};"
            f" [E, N, K/32, 16] and [E, N, K/32] expected"
        )
    packed = blocks.reshape(*scales.shape[:2], -1)
    return [fp4(raw.what, *pair) for pair in zip(packed, exponents, strict=True)]


def _fp4(raw: Raw, scales: Raw) -> list[Sheet]:
    """Packed [..., N, K/2] and scales [..., N, K/32], bytes of E8M0 or floats of the same value."""
    values = scales.array("F8_E8M0", "U8", "F32")
    pairs = _pairs(raw, raw.array("I8", "U8"), scales, values)
    return [fp4(raw.what, packed, exponent) for packed, exponent in pairs]


def _pairs(
    raw: Raw, codes: NDArray[Any], scales: Raw, values: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    places = len(raw.shape)
    if places not in (2, 3) or len(scales.shape) != places or raw.shape[:-2] != scales.shape[:-2]:
        raise FormatError(
            f"{raw.what}: shape {list(raw.shape)} with scales {list(scales.shape)};"
            f" [N, K] or [E, N, K] and a scale for each block expected"
        )
    flat = (codes.reshape(-1, *codes.shape[-2:]), values.reshape(-1, *values.shape[-2:]))
    return list(zip(*flat, strict=True))
