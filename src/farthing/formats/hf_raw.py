"""Tensors of safetensors files under their own names, and what a method of quantization tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats import safetensors
from farthing.formats.hf_sheets import FLOATS, Floats, Sheet

WORDS, LONG = "I32", "I64"
"""Packed codes are handed out as words without a sign, and so are 64-bit sizes."""
_KINDS = {
    **FLOATS,
    **dict.fromkeys(("F8_E4M3", "F8_E8M0", "U8", "I8"), "u1"),
    WORDS: "<u4",
    LONG: "<u8",
}


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


class Quantization(Protocol):
    """How one method lays its weights out."""

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        """The tensor that this one belongs to (its scales, its zeros), if it is no weight."""
        ...

    def ours(self, name: str) -> str:
        """What the weight under this name is called where nothing is quantized."""
        ...

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        """The matrix of a tensor [N, K], or the E matrices of [E, N, K].

        Raises FormatError if the dtype is not read, scales are missing or do not fit.
        """
        ...


class Unquantized:
    """Implements Quantization; what other methods leave alone lies so too."""

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        return None

    def ours(self, name: str) -> str:
        return name

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        flat = raw.array(*FLOATS).reshape(-1, *raw.shape[-2:])
        return [Floats(raw.tensor.dtype, one) for one in flat]


def beside(raw: Raw, name: str, raws: Mapping[str, Raw]) -> Raw:
    """The tensor of that name, which `raw` can't be read without. FormatError if it is missing."""
    if name not in raws:
        raise FormatError(f"{raw.what}: {name} is missing, which belongs to it; pull it again")
    return raws[name]
