"""Rotary frequencies, worked out once from a Hugging Face config. Knows no arrays of a step.

Frequencies are the fp32 numbers that the models were trained with: every product is rounded to
fp32, as it was then; only powers are taken in fp64 first, so that all machines agree.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError

Frequencies = NDArray[np.float32]

LARGEST = 1e15
"""No rope parameter is above this: no model comes near, and powers stay finite in fp32."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rotation:
    """How heads of `width` are turned: pair j by the angle position * frequencies[j].

    Pairs are (j, j + half) in layout "half" and (2j, 2j + 1) in layout "interleaved". Dimensions
    past 2 * len(frequencies) are left as they are. `magnitude` multiplies cosine and sine.
    """

    frequencies: Frequencies
    magnitude: float
    width: int
    layout: Literal["half", "interleaved"] = "half"


def rotation_from_hf(config: Mapping[str, Any], head_dim: int) -> Rotation:
    """From `rope_parameters`, or the older `rope_theta` with `rope_scaling`.

    Raises FormatError for a kind, or a field of a kind, that is not known here.
    """
    rope = _parameters(config)
    kind = rope["rope_type"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise FormatError(
            f"config.json: rope_type {kind!r} is not known; known: {', '.join(sorted(KINDS))};"
            " use a checkpoint with one of these"
        )
    frequencies, magnitude = KINDS[kind](rope, _turned(rope, head_dim))
    return Rotation(frequencies=frequencies, magnitude=magnitude, width=head_dim)


def softmax_factor(config: Mapping[str, Any]) -> float:
    """What latent attention's scale is multiplied by: DeepSeek's own part of YaRN, else 1.

    Others put the longer context's factor into cosine and sine; these have nothing to say on the
    part of a head that is not turned, so DeepSeek moves it (mscale_all_dim) to the softmax.
    """
    rope = _parameters(config)
    if rope["rope_type"] == "default" or not rope.get("mscale_all_dim"):
        return 1.0
    return _mscale(_factor(rope), _number(rope, "mscale_all_dim")) ** 2


def _parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """One dict whatever the config's age, with rope_type, rope_theta and the trained length."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(given, Mapping) or any(isinstance(v, Mapping) for v in given.values()):
        raise FormatError(
            f"config.json: rope parameters are {given!r}; expected one flat set for all layers"
        )
    rope = dict(given)
    rope["rope_type"] = rope.get("rope_type") or rope.pop("type", None) or "default"
    rope.setdefault("rope_theta", config.get("rope_theta") or 10000.0)
    trained = config.get("original_max_position_embeddings")
    if trained is not None:
        rope["original_max_position_embeddings"] = trained
    rope.setdefault("original_max_position_embeddings", config.get("max_position_embeddings"))
    rope.setdefault("max_position_embeddings", config.get("max_position_embeddings"))
    rope.setdefault("partial_rotary_factor", config.get("partial_rotary_factor"))
    return rope


def _turned(rope: Mapping[str, Any], head_dim: int) -> int:
    """How many of a head's dimensions are turned: the first ones, and an even number."""
    if rope["partial_rotary_factor"] is None:
        return head_dim
    turned = int(head_dim * _number(rope, "partial_rotary_factor"))
    if not 0 < turned <= head_dim or turned % 2:
        raise FormatError(
            f"config.json: partial_rotary_factor is {rope['partial_rotary_factor']}, which turns"
            f" {turned} of a head's {head_dim} dimensions; expected an even number of them"
        )
    return turned


def _plain(rope: Mapping[str, Any], head_dim: int) -> tuple[Frequencies, float]:
    """theta^(-2j/d): Su et al., 2104.09864."""
    theta = _number(rope, "rope_theta")
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    powers = np.power(theta, exponents.astype(np.float64)).astype(np.float32)
    return np.float32(1) / powers, 1.0


def _linear(rope: Mapping[str, Any], head_dim: int) -> tuple[Frequencies, float]:
    return _plain(rope, head_dim)[0] / np.float32(_number(rope, "factor")), 1.0


def _llama3(rope: Mapping[str, Any], head_dim: int) -> tuple[Frequencies, float]:
    """Long waves are stretched by the factor, short ones kept, those between blended."""
    plain, _ = _plain(rope, head_dim)
    factor, low, high, trained = (
        _number(rope, name)
        for name in (
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        )
    )
    if high <= low:
        raise FormatError(
            f"config.json: rope high_freq_factor is {high}; expected above low_freq_factor ({low})"
        )
    waves = np.float32(2 * math.pi) / plain
    share = (np.float32(trained) / waves - np.float32(low)) / np.float32(high - low)
    blended = (1 - share) * plain / np.float32(factor) + share * plain
    out = np.where(waves > trained / low, plain / np.float32(factor), blended)
    return np.where(waves < trained / high, plain, out).astype(np.float32), 1.0


def _yarn(rope: Mapping[str, Any], head_dim: int) -> tuple[Frequencies, float]:
    """Peng et al., 2309.00071: a ramp over the dimensions between two numbers of turns."""
    plain, _ = _plain(rope, head_dim)
    trained = _number(rope, "original_max_position_embeddings")
    factor = _factor(rope)
    low, high = _yarn_range(rope, head_dim, trained)
    ramp = (np.arange(head_dim // 2, dtype=np.float32) - np.float32(low)) / np.float32(high - low)
    kept = 1 - np.clip(ramp, 0, 1).astype(np.float32)
    stretched = np.float32(1) / (np.float32(factor) * (np.float32(1) / plain))
    return stretched * (1 - kept) + plain * kept, _yarn_magnitude(rope, factor)


def _factor(rope: Mapping[str, Any]) -> float:
    if rope.get("factor") is not None:
        return _number(rope, "factor")
    trained = _number(rope, "original_max_position_embeddings")
    return _number(rope, "max_position_embeddings") / trained


def _yarn_range(rope: Mapping[str, Any], head_dim: int, trained: float) -> tuple[float, float]:
    theta = _number(rope, "rope_theta")

    def dimension(turns: float) -> float:
        return head_dim * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = dimension(_number(rope, "beta_fast") if rope.get("beta_fast") else 32.0)
    high = dimension(_number(rope, "beta_slow") if rope.get("beta_slow") else 1.0)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    return low, high if high != low else high + 0.001


def _yarn_magnitude(rope: Mapping[str, Any], factor: float) -> float:
    if rope.get("attention_factor") is not None:
        return _number(rope, "attention_factor")
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        turned, all_dim = _number(rope, "mscale"), _number(rope, "mscale_all_dim")
        return _mscale(factor, turned) / _mscale(factor, all_dim)
    return _mscale(factor, 1.0)


def _mscale(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def _number(rope: Mapping[str, Any], name: str) -> float:
    value = rope.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"config.json: rope {name} is {value!r}; expected a number")
    least = 1 if name == "rope_theta" else 0
    if not least < value <= LARGEST:
        raise FormatError(
            f"config.json: rope {name} is {value}; expected above {least}, at most {LARGEST:g}"
        )
    return float(value)


KINDS: dict[str, Callable[[Mapping[str, Any], int], tuple[Frequencies, float]]] = {
    "default": _plain,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
