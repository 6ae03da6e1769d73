"""quality.json: what each lossy lever of a packed checkpoint costs, as measured on this model.

A lever is a setting that changes the answers: `weights` (against those it was quantized from),
`activations` (int8, the engine's base arithmetic, always on), `kv` (bits of the cache). A row holds
the levers that were on, what it was measured against and on which text, and the loss.

Knows nothing of how a loss is measured.
"""

import os
from math import isfinite
from pathlib import Path

import msgspec

from farthing.errors import FormatError

FILE = "quality.json"
LAYOUT = 1
MOST_BYTES = 1 << 20


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mean, and the ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """KL(reference || measured) in nats a token, and what goes with it."""

    kl: Interval
    kl_median: float
    kl_p99: float
    kl_max: float
    same_top: Interval
    perplexity: Interval
    reference_perplexity: Interval
    added: Interval | None = None
    """KL above that of the same run without the row's last lever, token by token; None if there was
    no such run."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`what`: "user: FILE", or "samples of the reference, seed N". sha256 is of the token ids."""

    what: str
    sha256: str
    tokens: int


class Against(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reference: a model's name or folder, its source's hash, and its arithmetic."""

    name: str
    sha256: str
    arithmetic: str


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`levers`: {"weights": "gptq 4-f16 g32"}, {"activations": "int8"},
    {"activations": "int8", "kv": "int4"}. `arithmetic` is "fp32" (the reference reading) or
    "native", and then `isa` names the instruction set and `numerics` the order of its sums."""

    levers: dict[str, str]
    against: Against
    text: Text
    loss: Loss
    arithmetic: str
    isa: str | None
    numerics: int
    farthing: str
    measured: str
    """The day, as 2026-11-22."""


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weights` is the packed checkpoint's identity (packed.identity) that the rows were measured
    on: rows of other weights count for nothing."""

    layout: int
    weights: str
    rows: list[Row]


def read(folder: Path) -> Quality | None:
    """What was measured of a packed checkpoint; None if nothing was.

    Raises FormatError if the file is damaged. Whose weights they are is for the caller to compare.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_BYTES:
        raise FormatError(f"{path}: over {MOST_BYTES} bytes; remove it and measure again")
    raw = path.read_bytes()
    try:
        layout = msgspec.json.decode(raw, type=_Version).layout
        if layout != LAYOUT:
            raise FormatError(
                f"{path}: layout {layout}, and this program reads {LAYOUT}; measure again"
            )
        found = msgspec.json.decode(raw, type=Quality)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: {error}; remove it and measure again") from error
    _check(path, found)
    return found


class _Version(msgspec.Struct):
    layout: int


def _check(path: Path, found: Quality) -> None:
    for row in found.rows:
        loss = row.loss
        perplexities = (loss.perplexity.mean, loss.reference_perplexity.mean)
        finite = all(isfinite(value) for value in (loss.kl.mean, *perplexities))
        # KL is never below zero, but for the rounding of a sum.
        possible = loss.kl.mean > -1e-6 and 0 <= loss.same_top.mean <= 1
        if not finite or not possible or min(perplexities) < 0.999:
            raise FormatError(f"{path}: a loss that no measurement gives: {loss}; measure again")


def write(folder: Path, quality: Quality) -> None:
    """Replaces the file whole. FormatError for a loss that is no number: JSON could not hold it."""
    _check(folder / FILE, quality)
    beside = folder / f".{FILE}.{os.getpid()}"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(quality), indent=2) + b"\n")
    beside.replace(folder / FILE)
