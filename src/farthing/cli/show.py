"""`farthing show`: one model's shape, weights and source."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farthing import store
from farthing.cli.awake import awake
from farthing.cli.loss import measuring
from farthing.cli.ls import gigabytes, millions, summary
from farthing.config import KV_BITS, EngineConfig
from farthing.evaluate.levers import active, added, measured, named, plain, stale, told
from farthing.evaluate.opened import recipe
from farthing.formats import packed, quality
from farthing.formats.quality import Row


def show(
    name: str, /, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False
) -> None:
    """Describe a model: architecture, parameters, bytes by form, context, and where it came from.

    And what one token needs of it: the parameters that are awake for it, the bytes of weights that
    a decode step of one answer reads, and the bytes that a token of context keeps in the cache.
    What its lossy levers cost, as `farthing eval` measured it; what `farthing quantize` did.

    Parameters
    ----------
    name
        A name that `farthing ls` shows, or the path of a packed folder.
    as_json
        Print JSON instead.
    """
    model = store.find(name)
    if as_json:
        print(json.dumps(facts(model)))
        return
    assert model.source is not None
    needs = awake(model.folder)
    share = needs.active / needs.parameters
    eight, four = (awake(model.folder, bits).context_bytes for bits in (8, 4))
    fewer = f" ({eight:,} at --kv-bits 8, {four:,} at 4)"
    print(f"{model.name}: {model.architecture}, {millions(model.parameters)} parameters")
    print(f"awake     {millions(needs.active)} a token ({share:.1%})")
    print(f"reads     {gigabytes(needs.token_bytes)} of weights a token, one answer at a time")
    print(f"context   {model.context:,} tokens, {needs.context_bytes:,} bytes of cache each{fewer}")
    print(f"on disk   {gigabytes(model.disk_bytes)} in {model.folder}")
    print(f"source    {model.source.file} ({model.source.kind})")
    print(f"sha256    {model.source.sha256}")
    Console().print(table(model))
    for line in (*lost(model.folder), *quantized(model.folder)):
        print(line)


def table(model: store.Model) -> Table:
    made = Table(box=None, pad_edge=False)
    made.add_column("form")
    for heading in ("tensors", "parameters", "bytes", "bits each"):
        made.add_column(heading, justify="right")
    for form, share in model.forms.items():
        bits = 8 * share.bytes / share.parameters
        counts = (f"{share.tensors:,}", f"{share.parameters:,}", f"{share.bytes:,}", f"{bits:.2f}")
        made.add_row(escape(form), *counts)
    return made


def facts(model: store.Model) -> dict[str, Any]:
    assert model.source is not None
    needs = awake(model.folder)
    return {
        **summary(model),
        "active_parameters": needs.active,
        "awake_share": round(needs.active / needs.parameters, 6),
        "token_bytes": needs.token_bytes,
        "context_bytes": needs.context_bytes,
        "context_bytes_by_kv_bits": {
            str(bits): awake(model.folder, bits).context_bytes for bits in KV_BITS
        },
        "folder": str(model.folder),
        "source": {
            "file": model.source.file,
            "sha256": model.source.sha256,
            "kind": model.source.kind,
        },
        "forms": {
            form: {"tensors": share.tensors, "parameters": share.parameters, "bytes": share.bytes}
            for form, share in model.forms.items()
        },
        "quality": measurements(model.folder),
        "recipe": recipe(model.folder),
    }


def rows(folder: Path) -> list[tuple[Row, str | None]]:
    """What was measured, and why it no longer counts if so. FormatError if the file is damaged."""
    found = quality.read(folder)
    if found is None:
        return []
    weights = packed.identity(folder)
    return [(row, stale(row, found, weights)) for row in found.rows]


def lost(folder: Path) -> Iterator[str]:
    """What levers cost: three lines a row."""
    found = rows(folder)
    if not found:
        levers = active(EngineConfig(), folder)
        yield f"loss      not measured; {measuring(folder, levers)} measures it"
    for row, reason in found:
        reference = f"{plain(row.against.name)} in {plain(row.against.arithmetic)}"
        when = f"measured on {plain(row.measured)} by farthing {plain(row.farthing)}"
        on = f", {plain(row.isa)}" if row.isa else ""
        yield f"loss      {named(row.levers)}: {told(row)}"
        if row.loss.added and len(row.levers) > 1:
            yield f"          {plain([*row.levers][-1])} {added(row)}"
        yield f"          against {reference}, {row.text.tokens:,} tokens ({plain(row.text.what)})"
        yield f"          {when}{on}"
        if reason:
            yield f"          (counts for nothing here: {reason}; measure it again)"


def quantized(folder: Path) -> Iterator[str]:
    for place, line in enumerate((recipe(folder) or "").splitlines()):
        yield f"{'' if place else 'recipe':<10}{plain(line)}".rstrip()


def measurements(folder: Path) -> list[dict[str, Any]]:
    found = rows(folder)
    return [msgspec.to_builtins(measured(row)) | {"stale": reason} for row, reason in found]
