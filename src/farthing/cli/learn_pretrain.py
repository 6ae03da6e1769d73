"""`farthing learn pretrain`: a model from random weights, by a recipe."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def pretrain(
    recipe: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    resume: Annotated[bool, Parameter(negative=())] = False,
    start: Path | None = None,
    threads: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Train a model from random weights, as a recipe says.

    The run's folder keeps checkpoints, a log of one JSON line a step, and at the end a report with
    the curves. ^C (or SIGTERM) saves and stops; a kill loses what came after the last checkpoint.
    With --resume the run goes on from there, to the same weights to the bit.

    Examples:

        farthing learn pretrain recipes/mite.toml -o runs/mite
        farthing learn pretrain recipes/mite.toml -o runs/mite --resume
        farthing learn report runs/mite                         the curves, at any time
        torchrun --nproc-per-node 2 -m farthing.cli learn pretrain recipes/mite.toml -o runs/mite

    Parameters
    ----------
    recipe
        A TOML file: the model's shape, its data, how long and how fast. Paths in it are relative
        to its own folder.
    output
        The run's folder.
    resume
        Go on from the folder's last checkpoint, or begin if there is none yet.
    start
        A checkpoint (RUN/step-...) of another recipe with the same model: a new run begins with its
        weights, moments and step. For a lower rate after a loss went astray, or more tokens.
    threads
        Threads of torch; 0 means those the run began with, or one for each core. Others than it
        began with change the last bits.
    as_json
        Print the log's lines in place of one live line.
    """
    from farthing.cli.learn_job import job

    return job(recipe, output, resume=resume, start=start, threads=threads, as_json=as_json)
