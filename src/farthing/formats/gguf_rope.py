"""How a GGUF file scales its rotation -> config.json's `rope_scaling`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.gguf_keys import Keys


def scaling_from_gguf(keys: Keys, context: int) -> dict[str, Any] | None:
    """`rope_scaling` from the keys (llama3's comes as a tensor: `llama3_from_factors`)."""
    kind = keys.text("rope.scaling.type", "linear")  # llama.cpp's default, by a factor of one
    factor = keys.real("rope.scaling.factor", keys.real("rope.scale_linear", 1.0))
    if kind == "none" or (kind == "linear" and factor in (0.0, 1.0)):
        return None
    if kind == "linear" and factor > 0:
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        return _yarn(keys, factor, context)
    raise FormatError(
        f"{keys.where}: {keys.architecture}.rope.scaling is {kind[:80]!r} by"
        f" {factor:g}; known are none, linear and yarn by a positive factor"
    )


def _yarn(keys: Keys, factor: float, context: int) -> dict[str, Any]:
    if factor < 1:
        raise FormatError(f"{keys.where}: rope.scaling.factor is {factor:g}; from 1 expected")
    original = keys.whole("rope.scaling.original_context_length", int(context / factor))
    found = {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": original,
        "beta_fast": keys.real("rope.scaling.yarn_beta_fast", 32.0),
        "beta_slow": keys.real("rope.scaling.yarn_beta_slow", 1.0),
    }
    for key, neutral in (("attn_factor", 1.0), ("yarn_attn_factor", 1.0), ("yarn_ext_factor", 1.0)):
        if keys.real(f"rope.scaling.{key}", neutral) != neutral:
            raise FormatError(f"{keys.where}: rope.scaling.{key} is not {neutral:g}: not supported")
    return found | _magnitude(keys)


def _magnitude(keys: Keys) -> dict[str, Any]:
    """What a family's YaRN has beyond the paper's, and GGUF only half says."""
    if keys.architecture == "gpt-oss":
        return {"truncate": False}  # so trained; llama.cpp rounds the ramp's ends all the same
    multiplier = keys.real("rope.scaling.yarn_log_multiplier", 0.0)
    if multiplier and keys.architecture != "deepseek2":
        raise keys.refusal("rope.scaling.yarn_log_multiplier", "not supported")
    if not multiplier:
        return {}
    # A tenth of mscale_all_dim. mscale is the same in all of DeepSeek's models, so that cosine and
    # sine keep their size, and the softmax is scaled instead.
    mscale = round(10 * multiplier, 6)
    return {"mscale": mscale, "mscale_all_dim": mscale}


def llama3_from_factors(
    where: str, factors: NDArray[np.float32], config: Mapping[str, Any]
) -> dict[str, Any]:
    """`rope_scaling` that gives exactly these divisors of the frequencies.

    llama.cpp stores llama3 scaling as one divisor a frequency; the parameters are not kept. Only
    one set of them is in use besides the factor, so it is tried, and must give what the file has.
    """
    half = config["head_dim"] // 2
    factor = float(np.round(factors.max(), 4))
    found = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    if factors.shape == (half,) and np.all(np.isfinite(factors)) and factor >= 1:
        expected = llama3_factors(config["rope_theta"], half, found)
        if np.allclose(factors, expected, rtol=1e-4, atol=0):
            return found
    raise FormatError(
        f"{where}: rope_freqs.weight is not llama3 scaling as Llama 3.1 to 3.3 have it"
        " (low 1, high 4, original length 8192); other frequency tables are not supported"
    )


def llama3_factors(theta: float, half: int, scaling: Mapping[str, Any]) -> NDArray[np.float64]:
    """By what each of `half` frequencies is divided."""
    wavelength = 2 * np.pi * np.power(theta, np.arange(half) / half)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] / wavelength
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: NDArray[np.float64] = 1 / ((1 - smooth) / scaling["factor"] + smooth)
    return factors
