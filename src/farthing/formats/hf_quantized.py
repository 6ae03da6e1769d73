"""What config.json says of quantized weights: which method, and in which of its layouts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from farthing.errors import FormatError
from farthing.formats.hf_awq import awq_settings
from farthing.formats.hf_compressed import compressed_settings
from farthing.formats.hf_gptq import gptq_settings
from farthing.formats.hf_raw import Quantization, Unquantized
from farthing.formats.hf_scaled import Mxfp4, fp8_settings

KEYS = ("quantization_config", "compression_config")
_METHODS: dict[str, Callable[[Path, Mapping[str, Any]], Quantization]] = {
    "fp8": fp8_settings,
    "mxfp4": lambda folder, settings: Mxfp4(),
    "gptq": gptq_settings,
    "awq": awq_settings,
    "compressed-tensors": compressed_settings,
}


def quantization_of(folder: Path, config: Mapping[str, Any]) -> Quantization:
    """FormatError naming the method of quantization, or the field, that is not read."""
    found = next((config[key] for key in KEYS if config.get(key)), None)
    if found is None:
        return Unquantized()
    method = found.get("quant_method") if isinstance(found, dict) else found
    if isinstance(found, dict) and isinstance(method, str) and method in _METHODS:
        return _METHODS[method](folder, found)
    raise FormatError(
        f"{folder}: the weights are quantized by {method!r:.80}, which is not read;"
        f" read are {', '.join(_METHODS)}. Pull the original in bf16, or a GGUF file"
    )
