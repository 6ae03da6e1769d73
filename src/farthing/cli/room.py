"""Whether a model fits into memory before it is loaded, and how fast it is likely to be if not."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farthing import machine
from farthing.cli.disk import read_speed
from farthing.cli.ls import gigabytes
from farthing.config import EngineConfig
from farthing.errors import InputError
from farthing.formats import packed

if TYPE_CHECKING:
    from farthing.cli.awake import Awake

BESIDE = 200_000_000
"""Bytes of the process itself: program, buffers, tokenizer."""
FLOOR = 1.0
"""Tokens a second below which a model is not worth starting, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """`line` says it to a person."""

    fits: bool
    line: str


def expect(
    folder: Path,
    config: EngineConfig,
    *,
    answers: int,
    floor: float = FLOOR,
    available: int | None = None,
    speed: Callable[[Path], float] = read_speed,
) -> Forecast:
    """What to expect of a packed model with as many answers at once.

    `available` is the memory this process may still take, cgroups counted (asked of the machine if
    not given). `speed` measures the disk, and is asked only if the model does not fit. Raises
    InputError with the numbers if one answer would get fewer than `floor` tokens a second.
    """
    if floor < 0:
        raise InputError(f"floor is {floor:g}; it must be at least 0 tokens a second")
    have = machine.memory().available if available is None else available
    weights = (folder / packed.WEIGHTS).stat().st_size
    if weights + config.cache_bytes + BESIDE <= have:
        return Forecast(
            fits=True, line=f"fits in memory: {_sum(weights, config.cache_bytes, have)}"
        )
    from farthing.cli.awake import awake  # the models' pages: not worth loading where all fits

    needs = awake(folder, config.kv_bits)
    cache = cache_bytes(needs, config, answers)
    told = _sum(weights, cache, have)
    missing = missing_bytes(needs, have - cache - BESIDE)
    if not missing:
        return Forecast(fits=True, line=f"fits in memory: {told}")
    rate = speed(folder / packed.WEIGHTS)
    line = (
        f"does not fit in memory: {told}. Expect at most about {_rate(rate / missing)} tokens/s:"
        f" of the {gigabytes(needs.token_bytes)} that a token reads, {gigabytes(int(missing))} come"
        f" from the disk, at {gigabytes(int(rate))}/s{_mend(needs, config, answers, have)}"
    )
    if rate / missing < floor:
        raise InputError(
            f"{folder.name} {line}. That is below the floor of {floor:g} a second: free memory,"
            " take a smaller model or fewer bits, or lower the floor (--floor 0 never refuses)"
        )
    return Forecast(fits=False, line=line)


def tell(
    folder: Path, config: EngineConfig, *, answers: int, floor: float, quiet: bool = False
) -> None:
    """Say on stderr what to expect: a model that fits is worth a line only where a person waits."""
    forecast = expect(folder, config, answers=answers, floor=floor)
    if not quiet and (sys.stderr.isatty() or not forecast.fits):
        print(f"farthing: {folder.name} {forecast.line}", file=sys.stderr, flush=True)


def cache_bytes(needs: "Awake", config: EngineConfig, answers: int) -> int:
    """The KV cache when it is full, or when all answers are as long as can be."""
    context = min(config.max_context or needs.max_context, needs.max_context)
    return min(config.cache_bytes, answers * context * needs.context_bytes)


def missing_bytes(needs: "Awake", room: int) -> float:
    """Of the weights that a token reads, those that the disk must give each time.

    `room` is what the page cache has for weights. It keeps what every token reads, and as many of
    the experts as still fit; any is as likely to be asked for as another. If not even the first
    fits, nothing stays: whatever is read pushes out what will be read next.
    """
    if room < needs.always_bytes:
        return needs.token_bytes
    if not needs.expert_bytes:
        return 0
    kept = min(1.0, (room - needs.always_bytes) / needs.expert_bytes)
    return needs.chosen_bytes * (1 - kept)


def _fits(told: str) -> Forecast:
    return Forecast(fits=True, line=f"fits in memory: {told}")


def _sum(weights: int, cache: int, have: int) -> str:
    return (
        f"{gigabytes(weights)} of weights, up to {gigabytes(cache)} of KV cache and"
        f" {gigabytes(BESIDE)} beside, of {gigabytes(have)} free"
    )


def _rate(tokens: float) -> str:
    return f"{tokens:,.0f}" if tokens >= 10 else f"{tokens:.2g}"


def _mend(needs: "Awake", config: EngineConfig, answers: int, have: int) -> str:
    """A smaller cache that would leave room for the weights, where a server could do with it."""
    left = have - BESIDE - needs.always_bytes - needs.expert_bytes
    useful = answers > 1 and config.cache_bytes // 8 <= left < config.cache_bytes
    return f"; with --cache-bytes {left} it fits" if useful else ""
