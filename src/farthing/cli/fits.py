"""Which sizes of model a machine holds, and how fast it decodes them at most. Arithmetic only."""

from dataclasses import dataclass

SIZES = (0.135, 0.6, 1.7, 4.0, 8.0, 14.0, 32.0, 70.0)
"""Billions of parameters that open dense models come in."""

MIXTURES = ((6.9, 1.3), (15.7, 2.7), (20.9, 4.2), (30.5, 3.3), (116.8, 5.7), (235.1, 22.2))
"""The same of mixtures of experts, and how many of them one token needs."""

BITS = {"int4": 5.0, "int8": 9.0, "bf16": 16.0}
"""Bits a parameter, with an fp16 scale and minimum for every 32; the narrowest first."""

KEPT = 3 << 29
"""Bytes left to the KV cache and to everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    parameters: float
    """Billions."""

    awake: float
    """Billions that one token needs: all of a dense model."""

    int4_bytes: int
    widest: str | None
    """The widest form that fits; None if not even int4 does."""

    decode_limit: float
    """Tokens a second of one stream at the start of its context, at int4: read bandwidth over the
    weights that a token needs. No program is faster."""


def fits(available: int, bytes_per_second: float) -> list[Fit]:
    sizes = [*((size, size) for size in SIZES), *MIXTURES]
    return [_fit(size, awake, available, bytes_per_second) for size, awake in sizes]


def largest(available: int, form: str) -> float:
    """Billions of parameters that fit in a form."""
    return max(0, available - KEPT) * 8 / BITS[form] / 1e9


def _fit(size: float, awake: float, available: int, bytes_per_second: float) -> Fit:
    a_billion = 1e9 * BITS["int4"] / 8
    holding = [form for form in BITS if size <= largest(available, form)]
    return Fit(
        parameters=size,
        awake=awake,
        int4_bytes=int(size * a_billion),
        widest=holding[-1] if holding else None,
        decode_limit=round(bytes_per_second / (awake * a_billion), 1),
    )
