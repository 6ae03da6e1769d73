"""What `farthing quantize` says: before it begins, and when it is done."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farthing.cli.ls import gigabytes, millions
from farthing.cli.quantize_job import Done
from farthing.cli.quantize_plan import Plan
from farthing.quantize import text
from farthing.quantize.recipe import Size
from farthing.quantize.types import Choice, Outcome

WORST = 5
MINIMA = {"none": "", "min": ", with minima", "zero": ", with minima in whole steps"}


def plan(planned: Plan, *, as_json: bool) -> None:
    """The recipe on stdout, for a file; all else beside it."""
    if as_json:
        print(json.dumps(_sizes(planned) | {"recipe": planned.recipe.toml()}))
        return
    before(planned)
    print(planned.recipe.toml(), end="")


def before(planned: Plan) -> None:
    was, will = planned.before, planned.after
    _say(f"{planned.model}: {millions(was.parameters)} parameters, {_size(was)}; to become")
    _say(f"  {_size(will)}, {will.linear_bits:.2f} in linear layers")
    for choice, names in _groups(planned):
        _say(f"  {len(names):>5} {_choice(choice)}: {_few(names)}")
    if again := planned.again():
        _say(
            f"  note: {len(again)} of these were rounded before, such as {again[0]}; the loss comes"
            " on top of that"
        )
    for line in planned.changed:
        _say(f"  note: {line}")


def after(planned: Plan, done: Done) -> None:
    console = Console(highlight=False)
    if done.outcomes:
        console.print(worst(done.outcomes))
        console.print()
    for line in starved(done.outcomes):
        console.print(escape(line), soft_wrap=True)
    was, will = planned.before, planned.after
    name = done.place.called
    if planned.format != "packed":
        print(f"{name}: {gigabytes(done.size)} of weights; {planned.model} has {_size(was)}")
    else:
        print(f"{name}: {_size(will)} ({will.linear_bits:.2f} in linear layers), from {_size(was)}")
        print(f"Next: farthing eval {name} --against {planned.model}")
        print(f'      farthing run {name} "Why is the sky blue?"')


def worst(outcomes: Iterable[Outcome]) -> Table:
    """The matrices that lost most: error is of what they give, or where no text was read, of the
    weights."""
    table = Table(box=None, pad_edge=False)
    table.add_column("lost most")
    table.add_column("as")
    for heading in ("error", "tokens seen"):
        table.add_column(heading, justify="right")
    for one in sorted(outcomes, key=lambda one: -one.error)[:WORST]:
        seen = f"{one.seen:,}" if one.seen else "none"
        form = one.choice.form
        assert form is not None, "what is kept has no outcome"
        short = f"{one.choice.method} {form.bits} g{form.group}"
        short += {"none": "", "min": " min", "zero": " whole"}[form.offset]
        table.add_row(escape(one.name.replace(".weight", "")), short, f"{one.error:.3%}", seen)
    return table


def starved(outcomes: Iterable[Outcome]) -> list[str]:
    """A line on experts that too few tokens went to by themselves."""
    lent = [one for one in outcomes if one.borrowed]
    if not lent:
        return []
    least = min(lent, key=lambda one: one.seen - one.borrowed)
    own = least.seen - least.borrowed
    return [
        f"{len(lent)} matrices of experts saw too few tokens of their own and were lent others':"
        f" the fewest {least.name}, {own} of {least.seen}; more --samples give more"
    ]


def facts(planned: Plan, done: Done) -> dict[str, Any]:
    return {
        "model": planned.model,
        "out": done.place.called,
        "path": str(done.place.out),
        "format": planned.format,
        **_sizes(planned),
        "written_bytes": done.size,
        "recipe": planned.recipe.toml(),
        "samples": {
            "count": len(done.samples),
            "tokens": sum(len(ids) for ids in done.samples),
            "sha256": text.digest(done.samples),
        },
        "changed": planned.changed,
        "matrices": [
            {
                "name": one.name,
                "method": one.choice.method,
                "form": one.choice.form and f"{one.choice.form.name} g{one.choice.form.group}",
                "error": one.error,
                "seen": one.seen,
                "borrowed": one.borrowed,
            }
            for one in done.outcomes
        ],
    }


def _sizes(planned: Plan) -> dict[str, Any]:
    was, will = planned.before, planned.after
    return {
        "parameters": was.parameters,
        "bits": round(will.bits, 4),
        "linear_bits": round(will.linear_bits, 4),
        "bytes": will.bytes,
        "bits_before": round(was.bits, 4),
        "bytes_before": was.bytes,
    }


def _size(size: Size) -> str:
    return f"{gigabytes(size.bytes)}, {size.bits:.2f} bits a weight"


def _groups(planned: Plan) -> list[tuple[Choice, list[str]]]:
    """Matrices by what becomes of them, the many first."""
    chosen = {
        name: choice
        for name, choice in planned.chosen().items()
        if planned.layouts[name].form is not None
    }
    counts = Counter(chosen.values())
    return [(one, [n for n, c in chosen.items() if c == one]) for one, _ in counts.most_common()]


def _choice(choice: Choice) -> str:
    if choice.form is None:
        return "kept as they are"
    minimum = MINIMA[choice.form.offset]
    return f"{choice.method} {choice.form.bits} bits, groups of {choice.form.group}{minimum}"


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 3 else f"{names[0]}, ... {names[-1]}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)
