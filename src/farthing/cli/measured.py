"""What was measured on this machine and is no property of the weights: speeds, and tasks solved.

Kept in the home, by the weights' identity: `farthing bench` and `farthing eval --tasks` write it,
`farthing board` reads it.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from farthing import __version__
from farthing.bench import quick
from farthing.config import home
from farthing.errors import FormatError
from farthing.evaluate.tasks import Score
from farthing.formats import packed
from farthing.formats.quality import Interval

FILE = "measured.json"
LAYOUT = 1
MOST_BYTES = 16 << 20


class Speed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens a second: of a prompt, of one answer alone, of 32 answers together."""

    weights: str
    """packed.identity"""
    kv_bits: int
    prompt: float
    alone: float
    together: float
    isa: str
    threads: int
    measured: str
    """The day."""
    farthing: str


class Solved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task's score, and the seconds that all its items took."""

    weights: str
    kv_bits: int
    task: str
    metric: str
    share: Interval
    chance: float
    count: int
    seconds: float
    sha256: str
    """Of what was asked."""
    measured: str
    farthing: str


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    layout: int = LAYOUT
    speeds: list[Speed] = []
    solved: list[Solved] = []


def read() -> Kept:
    """Empty if nothing was kept. FormatError if the file is damaged."""
    path = home() / FILE
    if not path.is_file():
        return Kept()
    if path.stat().st_size > MOST_BYTES:
        raise FormatError(f"{path}: over {MOST_BYTES} bytes; remove it and measure again")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Kept)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: {error}; remove it and measure again") from error
    if found.layout != LAYOUT:
        raise FormatError(
            f"{path}: layout {found.layout}, and this program reads {LAYOUT}; remove it and"
            " measure again"
        )
    return found


def keep_speed(
    folder: Path, rates: Mapping[str, float], *, kv_bits: int, isa: str, threads: int
) -> None:
    """The rates that `quick.NAMES` names, in place of earlier ones of the same weights."""
    prompt, alone, together = (rates[name] for name in quick.NAMES)
    made = Speed(
        weights=packed.identity(folder),
        kv_bits=kv_bits,
        prompt=prompt,
        alone=alone,
        together=together,
        isa=isa,
        threads=threads,
        measured=today(),
        farthing=__version__,
    )
    old = read()
    key = (made.weights, made.kv_bits)
    others = [one for one in old.speeds if (one.weights, one.kv_bits) != key]
    write(msgspec.structs.replace(old, speeds=[*others, made]))


def keep_scores(folder: Path, scores: Sequence[Score], *, kv_bits: int) -> None:
    """In place of earlier ones of the same weights and task."""
    weights, old = packed.identity(folder), read()
    made = [
        Solved(
            weights=weights,
            kv_bits=kv_bits,
            task=score.task,
            metric=score.metric,
            share=score.share,
            chance=score.chance,
            count=score.count,
            seconds=score.seconds,
            sha256=score.sha256,
            measured=today(),
            farthing=__version__,
        )
        for score in scores
    ]
    new = {_key(one) for one in made}
    others = [one for one in old.solved if _key(one) not in new]
    write(msgspec.structs.replace(old, solved=others + made))


def write(kept: Kept) -> None:
    """Replaces the file whole."""
    home().mkdir(parents=True, exist_ok=True)
    beside = home() / f".{FILE}.{os.getpid()}"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
    beside.replace(home() / FILE)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def _key(one: Solved) -> tuple[object, ...]:
    return one.weights, one.kv_bits, one.task, one.metric
