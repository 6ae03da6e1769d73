"""`farthing learn distil`: a student learns a teacher's probabilities."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def distil(
    recipe: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    resume: Annotated[bool, Parameter(negative=())] = False,
    start: Path | None = None,
    threads: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Train a model on what a teacher makes of every token, as a recipe with a [teacher] says.

    As `farthing learn pretrain`, whose recipe, run folder and flags these are; the main loss is
    (1 - weight) * cross-entropy + weight * temperature^2 * divergence. Teacher and student must
    have one vocabulary. With another, a student learns from the teacher's text: let it write with
    `farthing learn data sample`, pack that, and pretrain.

    Examples:

        farthing learn distil recipes/student.toml -o runs/student

        [teacher]                       in the recipe: asked while training
        model = "runs/teacher"
        divergence = "reverse"

        [teacher]                       or kept from before
        [[data.train]]
        path = "packed/tasks"
        logits = "packed/tasks-logits"  of `farthing learn data logits`

    Parameters
    ----------
    recipe
        A TOML file: the student's shape, the data, and the [teacher].
    output
        The run's folder.
    resume
        Go on from the folder's last checkpoint, or begin if there is none yet.
    start
        A checkpoint (RUN/step-...) of another recipe with the same model, to begin with.
    threads
        Threads of torch; 0 means those the run began with, or one for each core.
    as_json
        Print the log's lines in place of one live line.
    """
    from farthing.cli.learn_job import job
    from farthing.errors import InputError
    from farthing.learn import recipe as recipes

    if recipes.read(recipe).teacher is None:
        raise InputError(
            f"{recipe} has no [teacher]; add the table, or train without one by `farthing learn"
            " pretrain`"
        )
    return job(recipe, output, resume=resume, start=start, threads=threads, as_json=as_json)
