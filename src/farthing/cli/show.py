"""`farthing show`: one model's shape, weights and source."""

import json
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farthing import store
from farthing.cli.awake import awake
from farthing.cli.ls import gigabytes, millions, summary


def show(
    name: str, /, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False
) -> None:
    """Describe a model: architecture, parameters, bytes by form, context, and where it came from.

    And what one token needs of it: the parameters that are awake for it, the bytes of weights that
    a decode step of one answer reads, and the bytes that a token of context keeps in the cache.

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
    print(f"{model.name}: {model.architecture}, {millions(model.parameters)} parameters")
    print(f"awake     {millions(needs.active)} a token ({share:.1%})")
    print(f"reads     {gigabytes(needs.token_bytes)} of weights a token, one answer at a time")
    print(f"context   {model.context:,} tokens, {needs.context_bytes:,} bytes of cache each")
    print(f"on disk   {gigabytes(model.disk_bytes)} in {model.folder}")
    print(f"source    {model.source.file} ({model.source.kind})")
    print(f"sha256    {model.source.sha256}")
    Console().print(table(model))


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
    }
