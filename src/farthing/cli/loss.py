"""Whether a model may run with the levers it is asked to run with, by what they were measured to
cost: a lever without a measurement is off."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from farthing.config import KV_BITS, EngineConfig
from farthing.errors import FormatError, InputError
from farthing.evaluate import levers
from farthing.evaluate.budget import Budget, parse
from farthing.evaluate.levers import Levers, Verdict, named, plain, told, verdicts
from farthing.formats import packed, quality
from farthing.formats.quality import Row
from farthing.store.names import root


def check(
    folder: Path, config: EngineConfig, *, budget: str | None = None, unmeasured: bool = False
) -> tuple[Verdict, ...]:
    """What each lever costs that is on, and last what all of them do.

    Raises InputError for bits of cache whose loss was never measured, unless `unmeasured` lets it
    be; with a budget for any lever never measured, or if a loss is above it. FormatError if what
    was measured can't be read and would have counted; else that is said, and nothing counts.
    """
    if budget is not None and unmeasured:
        raise InputError("--unmeasured lets any loss be, and --loss-budget does not; drop one")
    limits = Budget() if budget is None else parse(budget)
    lowered = config.kv_bits < 16
    rows = _rows(folder, needed=budget is not None or (lowered and not unmeasured))
    case = _Case(folder, config, rows, limits)
    found = case.verdicts(config.kv_bits)
    if budget is not None and not all(verdict.passes for verdict in found):
        raise InputError(case.refusal(budget))
    for verdict in found:
        if verdict.is_kv and verdict.row is None and not unmeasured:
            raise InputError(case.unmeasured(verdict))
    return tuple(found)


def asked(
    folder: Path, config: EngineConfig, *, unmeasured: bool, quiet: bool = False
) -> dict[str, object]:
    """For a terminal: what the lever costs that its user pulled, on stderr. Raises as `check`.

    Returns the levers that are on, for programs; looks nothing up where none was pulled.
    """
    if config.kv_bits == 16:
        return {}
    found = check(folder, config, unmeasured=unmeasured)
    for verdict in found:
        if verdict.is_kv and not quiet:
            print(f"farthing: {verdict.named}: {verdict.loss}", file=sys.stderr, flush=True)
    return {"levers": msgspec.to_builtins(levers.listed(found))}


def called(folder: Path) -> str:
    """A model as its user would type it."""
    return folder.name if folder.parent == root() else str(folder)


def measuring(folder: Path, on: Levers, rows: Sequence[Row] = ()) -> str:
    """The command that measures these levers. `rows` know what weights were measured against; else
    it is what they were made from."""
    words = ["farthing", "eval", called(folder)]
    if "weights" in on:
        known = [row.against.name for row in rows if "weights" in row.levers]
        words += [
            "--against",
            plain(known[-1] if known else packed.open(folder).header.source.file),
        ]
    if "kv" in on:
        words += ["--kv-bits", on["kv"].split()[0].removeprefix("int")]
    return f"`{shlex.join(words)}`"


def _rows(folder: Path, *, needed: bool) -> list[Row]:
    try:
        return levers.counting(folder)
    except FormatError as error:
        if needed:
            raise
        print(f"farthing: {error}; until then nothing counts as measured", file=sys.stderr)
        return []


@dataclass(frozen=True, slots=True)
class _Case:
    """One model, and what it says of each number of bits that its cache could have."""

    folder: Path
    config: EngineConfig
    rows: list[Row]
    budget: Budget

    def verdicts(self, kv_bits: int) -> list[Verdict]:
        config = replace(self.config, kv_bits=kv_bits)
        return verdicts(self.rows, levers.active(config, self.folder, self.rows), self.budget)

    def unmeasured(self, verdict: Verdict) -> str:
        return (
            f"{verdict.named} was never measured on {called(self.folder)}{self._stale()}, and a"
            f" lever without a measurement is off: {self._command([verdict])} measures it,"
            " --unmeasured runs it all the same"
        )

    def refusal(self, budget: str) -> str:
        """Which settings would pass; of the others why not, or how they are measured."""
        lines = [f"--loss-budget {plain(budget)} keeps {called(self.folder)} from starting:"]
        for bits in KV_BITS:
            asked = " (as asked)" if bits == self.config.kv_bits else ""
            lines.append(f"  --kv-bits {bits}{asked}: {self._told(self.verdicts(bits))}")
        found = self.verdicts(self.config.kv_bits)
        losses = [verdict.row.loss for verdict in found if verdict.row]
        if len(losses) == len(found):
            lines.append(f"as asked it starts with --loss-budget {self.budget.stretched(losses)}")
        return "\n".join(lines)

    def _told(self, found: Sequence[Verdict]) -> str:
        """What the budget says of one setting."""
        over = {named(v.row.levers): ", ".join(v.over) for v in found if v.row and v.over}
        if over:
            return "; ".join(f"{levers}: {what}" for levers, what in over.items())
        missing = [verdict for verdict in found if verdict.row is None]
        if missing:
            several = " together" if len(missing[0].levers) > 1 else ""
            return (
                f"{missing[0].named}: never measured{several}{self._stale()};"
                f" {self._command(found)} measures it"
            )
        row = found[-1].row if found else None
        return "passes" + (f", {told(row)}" if row else "")

    def _command(self, found: Sequence[Verdict]) -> str:
        on = {name: value for verdict in found for name, value in verdict.levers.items()}
        return measuring(self.folder, on, self.rows)

    def _stale(self) -> str:
        """Why what once was measured does not count."""
        found = quality.read(self.folder)
        if found is None:
            return ""
        weights = packed.identity(self.folder)
        for row in found.rows:
            if reason := levers.stale(row, found, weights):
                return f" ({named(row.levers)} was, but {reason})"
        return ""
