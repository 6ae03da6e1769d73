"""`farthing learn compare`: held-out losses of several runs over the compute they took."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


def compare(
    *runs: Path,
    curves: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Hold training runs side by side: the first against each of the others.

    For every held-out text that all of them were looked at with: the loss at the end, and the share
    of another run's compute that the first one needed to come as far.

    Examples:

        farthing learn compare runs/mite runs/dense --curves curves.svg

    Parameters
    ----------
    runs
        Folders of runs, two or more, that have held-out text in common.
    curves
        Draw loss over compute into this .svg or .png.
    as_json
        Print the figures as one JSON object.
    """
    import json

    from farthing.errors import InputError
    from farthing.learn import compare as side_by_side
    from farthing.learn.report import check

    if len(runs) < 2:
        raise InputError("compare wants two runs at least: farthing learn compare RUN RUN")
    if curves is not None:
        if curves.suffix not in (".svg", ".png"):
            raise InputError(f"{curves}: curves are drawn into .svg or .png")
        check()
    found = side_by_side.Comparison.read(runs)
    rows = found.rows()
    if as_json:
        print(json.dumps({"corpora": found.corpora, "runs": rows}))
    else:
        _print(found.corpora, rows)
    if curves is not None:
        side_by_side.draw(found, curves)


def _print(corpora: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    from farthing.learn.shortened import shortened

    first, names = rows[0]["run"], shortened(corpora)
    for row in rows:
        print(
            f"{row['run']}: {row['parameters'] / 1e6:.1f} M parameters,"
            f" {row['active'] / 1e6:.1f} M active, {row['tokens'] / 1e6:.1f} M tokens,"
            f" {row['compute']:.2e} operations"
        )
        for corpus in corpora:
            line = f"  {names[corpus]:24} loss {row['loss'][corpus]:.4f}"
            if "first" in row:
                share = row["first"][corpus]
                line += f"; {first} " + (
                    "was never there" if share is None else f"was there after {share:.0%} of this"
                )
            print(line)
