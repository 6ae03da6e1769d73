"""`farthing learn publish`: a run's model as a Hugging Face folder, with its card."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from farthing.cli import command, torch_needed


def publish(
    run: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    recipe: Path | None = None,
    step: int | None = None,
    tokenizer: Path | None = None,
    eval: tuple[Path, ...] = (),
    licence: str | None = None,
    about: Path | None = None,
    rebuild: Path | None = None,
    copies: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Write the model of a training run as a Hugging Face folder: transformers, vLLM and farthing
    load it. Matrices become bf16. Its README.md tells what was measured, and how to make it again.

    Examples:

        farthing learn publish runs/mite -o mite --recipe recipes/mite.toml
        farthing pull ./mite && farthing eval mite --json > mite.json
        farthing learn publish runs/mite -o mite2 --recipe recipes/mite.toml --eval mite.json

    Parameters
    ----------
    run
        The run's folder, as `farthing learn pretrain` writes it.
    output
        A new folder.
    recipe
        The recipe that the run was begun with: paths of data and tokenizer are beside it. Not
        given: the run's own copy.
    step
        Publish this checkpoint; not given, the last one.
    tokenizer
        The tokenizer's folder, if it no longer lies where the recipe says.
    eval
        Files of what `farthing eval --json` prints, for the card; may be given several times.
    licence
        Of the weights, as Hugging Face writes it (apache-2.0, say).
    about
        A text of your own to begin the card with.
    rebuild
        A file of commands that rebuild the model, in place of those that the data tells.
    copies
        Embedding and head stand a second time in the next-token layer, as in DeepSeek's releases.
    as_json
        Print one JSON object.
    """
    torch_needed.check()
    # torch is first imported here
    from farthing.learn.release import Release

    release = Release(run, recipe=recipe, step=step, tokenizer=tokenizer)
    folder = release.write(
        output,
        measured=eval,
        licence=licence,
        about=about,
        rebuild=rebuild,
        copies=copies,
        typed=command.text(),
    )
    size = (folder / "model.safetensors").stat().st_size
    if as_json:
        told = {"folder": str(folder), "step": release.step, "bytes": size, "notes": release.notes}
        print(json.dumps(told))
        return
    for note in release.notes:
        print(note)
    place = folder if folder.is_absolute() else f"./{folder}"
    print(
        f"{folder}: step {release.step:,}, {size / 1e6:.1f} MB of weights\n"
        f"Next: farthing pull {place}"
    )
