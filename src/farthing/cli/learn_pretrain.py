"""`farthing learn pretrain`: a model from random weights, by a recipe."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def pretrain(
    recipe: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
) -> None:
    """Train a model from random weights, as a recipe says.

    Parameters
    ----------
    recipe
        A TOML file: the model's shape, its data, how long and how fast.
    output
        The run's folder: checkpoints, the log, the report.
    """
    print(recipe, output)
