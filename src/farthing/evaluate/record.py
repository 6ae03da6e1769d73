"""Rows of quality.json from what was measured, and their place in a packed folder."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from farthing import __version__
from farthing.errors import InputError
from farthing.evaluate.measure import Measured
from farthing.evaluate.opened import Opened
from farthing.evaluate.texts import Texts
from farthing.formats import packed, quality
from farthing.formats.quality import Against, Quality, Row
from farthing.ops.isa import NUMERICS


def rows_of(measured: Sequence[Measured], against: Opened, texts: Texts) -> list[Row]:
    """`against` is the model itself where it was its own reference."""
    reference = Against(name=against.name, sha256=against.sha256, arithmetic="fp32")
    today = datetime.now(UTC).date().isoformat()
    return [
        Row(
            levers=one.levers,
            against=reference,
            text=texts.record(),
            loss=one.loss,
            arithmetic="fp32" if one.isa is None else "native",
            isa=one.isa,
            numerics=NUMERICS,
            farthing=__version__,
            measured=today,
        )
        for one in measured
    ]


def must_be_writable(model: Opened) -> None:
    """InputError, before hours of work, if nothing could be saved in its folder."""
    if not os.access(model.path, os.W_OK):
        raise InputError(
            f"{model.path} can't be written, and {quality.FILE} belongs there;"
            " --no-save measures and keeps nothing"
        )


def save(model: Opened, rows: Sequence[Row]) -> list[Row]:
    """Into the packed folder's quality.json. A row takes the place of one with the same levers,
    reference and arithmetic, unless that was measured on more tokens: such rows stay, and are
    returned. Rows of other weights go."""
    weights = packed.identity(model.path)
    found = quality.read(model.path)
    before = found.rows if found is not None and found.weights == weights else []
    now = {_key(row): row for row in rows}
    longer = [row for row in before if _key(row) in now and _outweighs(row, now[_key(row)])]
    stay = [row for row in before if _key(row) not in now or row in longer]
    kept = {_key(row) for row in longer}
    made = stay + [row for row in rows if _key(row) not in kept]
    try:
        quality.write(model.path, Quality(layout=quality.LAYOUT, weights=weights, rows=made))
    except OSError as error:
        raise InputError(
            f"{model.path / quality.FILE} can't be written: {error.strerror}; nothing was saved"
        ) from error
    return longer


def _outweighs(before: Row, now: Row) -> bool:
    """More tokens, of the same sums in the same order."""
    same = (before.isa, before.numerics) == (now.isa, now.numerics)
    return same and before.text.tokens > now.text.tokens


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row.levers.items()), row.against.sha256, row.against.arithmetic, row.arithmetic
