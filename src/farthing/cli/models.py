"""From a model's name on the command line to its folder, fetching it if that is safe to do."""

import sys
from pathlib import Path

from farthing import store
from farthing.cli.progress import bars
from farthing.errors import NotFound
from farthing.store import shipped
from farthing.store.pulling import DEFAULT


def folder(name: str) -> Path:
    """Where the packed model lies. The default model is fetched, and one that comes with farthing
    is packed, with a notice, if it is absent; any other absence is NotFound, with the names there
    are and the command that fetches."""
    try:
        return store.find(name).folder
    except NotFound:
        ours = name in shipped.models()
        if name != DEFAULT and not ours:
            raise
    doing = "comes with farthing; packing" if ours else "is not here yet; fetching"
    print(f"farthing: {name} {doing} it, once", file=sys.stderr)
    with bars() as progress:
        return store.pull(name, progress=progress).model.folder
