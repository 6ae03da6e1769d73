"""`farthing learn report`: a run's curves and figures, while it goes on or after it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def report(
    run: Path,
    /,
    *,
    html: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show where a training run is, and write its curves.

    Parameters
    ----------
    run
        A run's folder, as `farthing learn pretrain -o` made it. It may be at work.
    html
        Where the page goes; RUN/report.html unless given.
    as_json
        Print the figures as one JSON object, and write no page.
    """
    import json

    from farthing.cli import learn_pages
    from farthing.learn.report import History

    history = History.read(run)
    if as_json:
        print(json.dumps(learn_pages.figures(history)))
        return
    path = html or run / "report.html"
    learn_pages.write(path, history)
    for name, value in learn_pages.rows(history):
        print(f"{name:36} {value}")
    print(f"curves: {path}")
