"""The real model with a quality.json of its own, and rows to write there."""

from pathlib import Path
from typing import Any

from farthing.formats import packed, quality
from farthing.formats.quality import Against, Interval, Loss, Quality, Row, Text
from farthing.ops import key_fit
from farthing.ops.isa import NUMERICS

BASE = {"activations": "int8"}
EIGHT = BASE | {"kv": "int8"}
FOUR = BASE | {"kv": "int4"}


def linked(folder: Path, source: Path) -> Path:
    """A folder that holds what another does, but nothing measured, and can be written to."""
    folder.mkdir(parents=True)
    for file in source.iterdir():
        if file.name not in (quality.FILE, key_fit.FILE):
            (folder / file.name).symlink_to(file)
    return folder


def loss(
    kl: float,
    *,
    same_top: float = 0.97,
    perplexity: float = 20.2,
    added: Interval | None = None,
) -> Loss:
    return Loss(
        kl=Interval(kl, 0.9 * kl, 1.1 * kl),
        kl_median=kl / 2,
        kl_p99=10 * kl,
        kl_max=100 * kl,
        same_top=Interval(same_top, same_top - 0.01, same_top + 0.01),
        perplexity=Interval(perplexity, perplexity - 1, perplexity + 1),
        reference_perplexity=Interval(20.0, 19.0, 21.0),
        added=added,
    )


def row(levers: dict[str, str], kl: float = 0.003, **more: Any) -> Row:
    """Measured here, by this build, natively; `more` are other fields of the row or of its loss."""
    its = {n: more.pop(n) for n in ("same_top", "perplexity", "added") if n in more}
    fields: dict[str, Any] = {
        "levers": levers,
        "against": Against("original", "a" * 64, "fp32"),
        "text": Text("samples of the reference, seed 0", "b" * 64, 4096),
        "loss": loss(kl, **its),
        "arithmetic": "native",
        "isa": "portable",
        "numerics": NUMERICS,
        "farthing": "0.1",
        "measured": "2026-11-22",
    }
    return Row(**fields | more)


def keep(folder: Path, *rows: Row, weights: str | None = None) -> None:
    found = packed.identity(folder) if weights is None else weights
    quality.write(folder, Quality(layout=quality.LAYOUT, weights=found, rows=list(rows)))
