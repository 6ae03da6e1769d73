"""What config.json says of quantized weights, and how those lie in safetensors files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats import safetensors
from farthing.formats.fp8 import fp8
from farthing.formats.hf_sheets import FLOATS, Floats, Numbers, Sheet
from farthing.formats.mxfp4 import fp4

Method = Literal["none", "fp8", "mxfp4"]
KEYS = ("quantization_config", "compression_config")
_KINDS = {**FLOATS, **dict.fromkeys(("F8_E4M3", "F8_E8M0", "U8", "I8"), "u1")}


@dataclass(frozen=True, slots=True)
class Raw:
    """A tensor of a file, as it is called there."""

    path: Path
    name: str
    tensor: safetensors.Tensor

    @property
    def what(self) -> str:
        """How errors begin."""
        return f"{self.path}: tensor {self.name[:80]!r}"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def array(self, *dtypes: str) -> NDArray[Any]:
        """Its numbers, mapped. Raises FormatError if they are of none of the dtypes."""
        if self.tensor.dtype not in dtypes:
            raise FormatError(
                f"{self.what}: dtype {self.tensor.dtype}; read are {', '.join(dtypes)}"
            )
        return self.tensor.data.view(_KINDS[self.tensor.dtype]).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Quantization:
    """`block`: the rows and columns that share a scale, of fp8."""

    method: Method = "none"
    block: tuple[int, int] = (0, 0)

    def scales_name(self, name: str) -> str | None:
        """What the scales of a tensor are called, if it were quantized."""
        if self.method == "fp8":
            return f"{name}_scale_inv"
        if self.method == "mxfp4" and name.endswith("_blocks"):
            return f"{name.removesuffix('_blocks')}_scales"
        return None

    def weight_name(self, name: str) -> str | None:
        """What the tensor is called whose scales these are, if they are any."""
        if self.method == "fp8" and name.endswith("_scale_inv"):
            return name.removesuffix("_scale_inv")
        if self.method == "mxfp4" and name.endswith("_scales"):
            return f"{name.removesuffix('_scales')}_blocks"
        return None

    def sheets(self, raw: Raw, scales: Raw | None) -> list[Sheet]:
        """The matrix of a tensor [N, K], or the E matrices of [E, N, K].

        Raises FormatError if the dtype is not read, scales are missing or do not fit.
        """
        if scales is None:
            if self.method == "fp8" and raw.tensor.dtype in ("F8_E4M3", "I8", "U8"):
                raise FormatError(
                    f"{raw.what}: dtype {raw.tensor.dtype}, without {raw.name}_scale_inv"
                )
            numbers = raw.array(*FLOATS)
            flat = numbers.reshape(-1, *raw.shape[-2:])
            return [Floats(raw.tensor.dtype, one) for one in flat]
        if self.method == "mxfp4":
            return _mxfp4(raw, scales)
        if raw.tensor.dtype in ("I8", "U8"):
            return _fp4(raw, scales)
        kind, values = scales.tensor.dtype, scales.array(*FLOATS, "F8_E8M0")
        pairs = _pairs(raw, raw.array("F8_E4M3"), scales, values)
        return [fp8(raw.what, codes, Numbers(kind, each), self.block) for codes, each in pairs]


def quantization_of(folder: Path, config: Mapping[str, Any]) -> Quantization:
    """FormatError naming the method of quantization, or the field, that is not read."""
    found = next((config[key] for key in KEYS if config.get(key)), None)
    if found is None:
        return Quantization()
    method = found.get("quant_method") if isinstance(found, dict) else found
    if method == "mxfp4":
        return Quantization("mxfp4")
    if method == "fp8":
        return _fp8_settings(folder, found)
    raise FormatError(
        f"{folder}: the weights are quantized by {method!r:.80}, which is not read;"
        f" read are fp8 and mxfp4. Pull the original in bf16, or a GGUF file"
    )


def _fp8_settings(folder: Path, found: Any) -> Quantization:
    settings = found if isinstance(found, dict) else {}
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
        return Quantization("fp8", (block[0], block[1]))
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
