"""`farthing rm`: remove a model."""

import json
from typing import Annotated

from cyclopts import Parameter

from farthing import store
from farthing.cli.ls import gigabytes


def rm(
    name: str, /, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False
) -> None:
    """Remove a model from this machine: whole or not at all.

    Parameters
    ----------
    name
        A name that `farthing ls` shows.
    as_json
        Print JSON: the name, and the bytes freed.
    """
    freed = store.remove(name)
    if as_json:
        print(json.dumps({"name": name, "freed_bytes": freed}))
        return
    print(f"removed {name}: {gigabytes(freed)} freed")
