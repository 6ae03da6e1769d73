"""What the comparison of quantizers found: one table a reference, and the JSON line.

Knows no engine and no file. N tokens, B blocks of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.evaluate.interval import RESAMPLES
from farthing.formats.quality import Interval, Loss

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantizer's weights. `kl` [N] is in the order of all other rows' tokens."""

    name: str
    linear_bits: float
    """Bits a weight of the matrices between embedding and head, scales included."""
    all_bits: float
    """Of every tensor."""
    seconds: float
    """What the quantizer took."""
    types: str
    """What the tensors became."""
    loss: Loss
    kl: Values

    def record(self) -> dict[str, Any]:
        return {
            "linear_bits": round(self.linear_bits, 4),
            "all_bits": round(self.all_bits, 4),
            "seconds": round(self.seconds, 1),
            "types": self.types,
            "loss": msgspec.to_builtins(self.loss),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """A ratio of the JSON line: their mean KL over ours."""

    key: str
    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class Found:
    """All rows of one reference."""

    reference: str
    blocks: NDArray[np.int64]
    rows: dict[str, Row] = field(default_factory=dict)
    texts: dict[str, slice] = field(default_factory=dict)
    """Which of the N tokens are of which text."""

    def ratio(self, pair: Pair) -> Interval | None:
        """None if one of the two was not run."""
        if pair.theirs not in self.rows or pair.ours not in self.rows:
            return None
        return ratio(self.rows[pair.theirs].kl, self.rows[pair.ours].kl, self.blocks)

    def record(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        ratios = {pair.key: msgspec.to_builtins(self.ratio(pair)) for pair in pairs}
        return {**ratios, "rows": {name: self._row(row) for name, row in self.rows.items()}}

    def _row(self, row: Row) -> dict[str, Any]:
        by_text = {name: round(float(row.kl[of].mean()), 6) for name, of in self.texts.items()}
        return row.record() | {"kl_by_text": by_text}

    def table(self, pairs: Sequence[Pair]) -> str:
        texts = [f"KL, {name}" for name in self.texts]
        head = ("", "bits, linears", "bits, all", "KL, mean", "95 %", *texts)
        lines = [(*head, "99th", "same top", "s")]
        for row in self.rows.values():
            kl, same = row.loss.kl, row.loss.same_top.mean
            lines.append(
                (
                    row.name,
                    f"{row.linear_bits:.3f}",
                    f"{row.all_bits:.2f}",
                    f"{kl.mean:.5f}",
                    f"{kl.low:.5f} to {kl.high:.5f}",
                    *(f"{row.kl[of].mean():.5f}" for of in self.texts.values()),
                    f"{row.loss.kl_p99:.4f}",
                    f"{same:.2%}",
                    f"{row.seconds:.0f}",
                )
            )
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([f"reference: {self.reference}", *text, *self.ratios(pairs)])

    def ratios(self, pairs: Sequence[Pair]) -> list[str]:
        told = []
        for pair in pairs:
            if of := self.ratio(pair):
                told.append(
                    f"{pair.theirs} / {pair.ours}: {of.mean:.2f} ({of.low:.2f} to {of.high:.2f})"
                )
        return told


def ratio(theirs: Values, ours: Values, blocks: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """Mean over mean, and its 95 % interval: blocks of text are drawn, the same of both sides."""
    a, b = (np.add.reduceat(values, blocks) for values in (theirs, ours))
    drawn = np.random.default_rng(seed).integers(0, len(blocks), (RESAMPLES, len(blocks)))
    low, high = np.percentile(a[drawn].sum(1) / b[drawn].sum(1), [2.5, 97.5])
    return Interval(mean=float(theirs.sum() / ours.sum()), low=float(low), high=float(high))


def record(found: Sequence[Found], pairs: Sequence[Pair], more: dict[str, Any]) -> dict[str, Any]:
    """The last line. Each ratio is the smaller of the references'; None if one did not run it."""
    line: dict[str, Any] = {}
    for pair in pairs:
        each = [one.ratio(pair) for one in found]
        whole = [of.mean for of in each if of is not None]
        line[pair.key] = round(min(whole), 3) if len(whole) == len(each) and whole else None
    return line | {"references": {one.reference: one.record(pairs) for one in found}} | more
