"""`farthing learn merge`: an adapter's parts added to their model."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def merge(
    model: str,
    adapter: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
) -> None:
    """Add an adapter to its model: a Hugging Face folder in bf16, which needs no adapter.

    The adapter is of `farthing learn tune`, or of PEFT (LoRA). `farthing pull` packs the folder,
    `farthing quantize` makes it small again.

    Examples:

        farthing learn merge smollm2-135m runs/mine -o mine
        farthing pull ./mine

    Parameters
    ----------
    model
        What the adapter was made on: a name that `farthing ls` shows, a packed folder, a Hugging
        Face folder or a GGUF file.
    adapter
        A folder with adapter_config.json and adapter_model.safetensors.
    output
        A new folder.
    """
    from farthing.cli import torch_needed

    torch_needed.check()
    # torch is first imported here
    from farthing.cli.quantize_plan import place
    from farthing.learn import merge as learn

    made = learn.merge(place(model), adapter, output)
    at = made if made.is_absolute() else f"./{made}"
    print(f"{made}: {model} with {adapter} added\nNext: farthing pull {at}")
