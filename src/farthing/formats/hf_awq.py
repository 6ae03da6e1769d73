"""AWQ checkpoints (Lin et al., arXiv 2306.00978), as AutoAWQ's version "gemm" writes them.

    X.qweight   int32 [K, N / 8], codes packed along the outputs, in the order 0 2 4 6 1 3 5 7
    X.qzeros    int32 [G, N / 8], likewise
    X.scales    [G, N]

What `modules_to_not_convert` names lies in floats, which the names of tensors show by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.formats.hf_codes import Codes, Scheme, check_shape, scheme, unpacked
from farthing.formats.hf_gptq import PARTS, WEIGHT, ours, owner, refuse_others
from farthing.formats.hf_raw import WORDS, Raw, Unquantized, beside
from farthing.formats.hf_sheets import FLOATS, Numbers, Sheet

ORDER = np.array([0, 4, 1, 5, 2, 6, 3, 7])
"""Where in a word each of 8 outputs lies."""
_KNOWN: dict[str, tuple[Any, ...]] = {
    "version": ("gemm", "GEMM"),
    "format": ("gemm",),
    "checkpoint_format": ("gemm",),
    "zero_point": (True,),
    "bits": (4,),
    "w_bit": (4,),
}


@dataclass(frozen=True, slots=True)
class Packed:
    """Implements `hf_codes.Origin`. qweight [K, N / 8], qzeros [G, N / 8]."""

    qweight: NDArray[np.uint32]
    qzeros: NDArray[np.uint32]

    def codes(self, rows: slice) -> NDArray[np.uint8]:
        return _outputs(self.qweight, rows)

    def zeros(self, rows: slice) -> NDArray[np.uint8]:
        return _outputs(self.qzeros, rows)


@dataclass(frozen=True, slots=True)
class Awq(Unquantized):
    scheme: Scheme

    def owner(self, name: str, raws: Mapping[str, Raw]) -> str | None:
        return owner(name, raws)

    def ours(self, name: str) -> str:
        return ours(name)

    def sheets(self, raw: Raw, raws: Mapping[str, Raw]) -> list[Sheet]:
        if not raw.name.endswith(WEIGHT):
            return Unquantized.sheets(self, raw, raws)
        stem = raw.name.removesuffix(WEIGHT)
        qzeros, scales = (beside(raw, stem + part, raws) for part in PARTS[:2])
        columns, words = raw.shape
        groups = self.scheme.groups(columns)
        check_shape(scales.what, "scales", scales.shape, (groups, 8 * words))
        check_shape(qzeros.what, "zeros", qzeros.shape, (groups, words))
        made = Codes(
            what=raw.what,
            scheme=self.scheme,
            columns=columns,
            scales=Numbers(scales.tensor.dtype, scales.array(*FLOATS).T),
            origin=Packed(raw.array(WORDS), qzeros.array(WORDS)),
            rows=range(8 * words),
        )
        return [made]


def awq_settings(folder: Path, settings: Mapping[str, Any]) -> Awq:
    """Raises FormatError naming the setting that is not read."""
    what = f"{folder}: quantization_config"
    refuse_others(what, settings, _KNOWN)
    bits = settings.get("bits", settings.get("w_bit"))
    group = settings.get("group_size", settings.get("q_group_size"))
    return Awq(scheme(what, bits, group, False))


def _outputs(words: NDArray[np.uint32], rows: slice) -> NDArray[np.uint8]:
    """[n, N / 8] words -> the codes of some outputs [outputs, n]."""
    start, stop, step = rows.indices(8 * words.shape[1])
    first = start // 8
    codes = unpacked(words[:, first : -(-stop // 8)], 4)
    codes = codes.reshape(len(words), -1, 8)[..., ORDER].reshape(len(words), -1)
    return codes[:, start - 8 * first : stop - 8 * first : step].T
