"""Which sizes of model a machine holds, and how fast it decodes them at most. Arithmetic only."""

from dataclasses import dataclass

SIZES = (0.135, 0.6, 1.7, 4.0, 8.0, 14.0, 32.0, 70.0)
"""Billions of parameters that open models come in."""

BITS = {"int4": 5.0, "int8": 9.0, "bf16": 16.0}
"""Bits a parameter, with an fp16 scale and minimum for every 32; the narrowest first."""

KEPT = 3 << 29
"""Bytes left to the KV cache and to everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    parameters: float
    """Billions."""

    int4_bytes: int
    widest: str | None
    """The widest form that fits; None if not even int4 does."""

    decode_limit: float
    """Tokens a second of one dense stream at the start of its context, at int4: read bandwidth
    over the weights. No program is faster."""


def fits(available: int, bytes_per_second: float) -> list[Fit]:
    return [_fit(size, available, bytes_per_second) for size in SIZES]


def largest(available: int, form: str) -> float:
    """Billions of parameters that fit in a form."""
    return max(0, available - KEPT) * 8 / BITS[form] / 1e9


def _fit(size: float, available: int, bytes_per_second: float) -> Fit:
    int4 = int(size * 1e9 * BITS["int4"] / 8)
    holding = [form for form in BITS if size <= largest(available, form)]
    return Fit(
        parameters=size,
        int4_bytes=int4,
        widest=holding[-1] if holding else None,
        decode_limit=round(bytes_per_second / int4, 1),
    )
