"""`farthing ls`: the models on this machine."""

import json
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farthing import store
from farthing.store import shipped
from farthing.store.names import root


def ls(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """List the models on this machine, with their sizes.

    Parameters
    ----------
    as_json
        Print a JSON list instead of a table: of models, without those unfinished.
    """
    found, begun = store.models(), store.unfinished()
    if as_json:
        print(json.dumps([summary(model) for model in found]))
        return
    ours = sorted(set(shipped.models()) - {model.name for model in found})
    if not found and not begun:
        print(f"no models in {root()}; `farthing pull smollm2-135m` fetches one")
        packs(ours)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "architecture"):
        table.add_column(heading)
    for heading in ("parameters", "bits", "context", "on disk"):
        table.add_column(heading, justify="right")
    for model in found:
        table.add_row(escape(model.name), *(escape(cell) for cell in cells(model)))
    for name, size in begun:
        table.add_row(escape(name), "unfinished", "", "", "", gigabytes(size))
    Console().print(table)
    for name, _ in begun:
        print(
            f"{name}: an interrupted `farthing quantize`, which goes on where the same command is"
            f" given again; `farthing rm {name}` removes its work"
        )
    for model in found:
        if model.problem:
            print(f"{model.name} is damaged: {model.problem}")
    packs(ours)


def packs(names: list[str]) -> None:
    for name in names:
        print(f"{name} comes with farthing: `farthing run {name}` packs it, without a network")


def cells(model: store.Model) -> list[str]:
    size = gigabytes(model.disk_bytes)
    if model.problem:
        return ["damaged", "", "", "", size]
    return [
        model.architecture,
        millions(model.parameters),
        f"{model.bits:.1f}",
        f"{model.context:,}",
        size,
    ]


def summary(model: store.Model) -> dict[str, object]:
    return {
        "name": model.name,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "bits_per_parameter": round(model.bits, 3),
        "context": model.context,
        "disk_bytes": model.disk_bytes,
        "problem": model.problem,
    }


def millions(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 10**9 else f"{count / 1e6:.1f} M"


def gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"
