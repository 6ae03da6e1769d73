"""farthing and llama.cpp on random weights of a real mixture of experts, in turn: A B A B ...

`make bench-peers-moe` runs it. Two copies fit in memory, not five: each of llama.cpp's forms is
loaded beside us by itself, and every row is then measured in turn. The ratio of a row is that to
its best form. Ends with one JSON line.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import install
from moe_results import Results, rows_for
from rows import Row, Taken, measure
from sides import Recipe, Side

from farthing.bench import random_gguf, random_packed, skeleton
from farthing.bench.machine import Machine
from farthing.bench.tell import limits_record

LOGS = install.ROOT / "logs"
FORMS: list[random_gguf.Type] = ["q4_0", "q4_k"]
HALF = {"qwen3-30b-a3b": 24}
"""Layers, where all of them would not fit twice."""


def main() -> int:
    options = arguments()
    install.llama()
    layers = options.layers or (None if options.alone else HALF.get(options.config))
    shape = skeleton.read(options.config, layers)
    mine = random_packed.made(shape, before=say, progress=lambda done, total: None)
    results = Results(rows_for(shape.config["model_type"], shape.config["max_position_embeddings"]))
    load_before = os.getloadavg()
    LOGS.mkdir(exist_ok=True)
    recipe = Recipe("farthing", Path(sys.executable), "farthing_moe.py", mine, ours=True)
    others = list(peers(shape, mine, options.forms))
    if options.alone:
        alone(recipe, others, options, results)
    else:
        in_turn(recipe, others, options, results)
    machine = Machine(options.threads)
    machine.read(1 << 29)
    print(results.table())
    about = {
        "config": options.config,
        "layers": shape.layers,
        "weight_bytes": random_packed.size(shape),
        "limits": limits_record(machine.limits()),
        "read_file_bytes_per_second": read_file(machine, mine),
        "load_average": {"before": load_before, "after": os.getloadavg()},
    }
    print(json.dumps(results.record() | about))
    if options.remove:
        shutil.rmtree(mine)
        for peer in others:
            peer.model.unlink(missing_ok=True)
    return 0


def in_turn(
    recipe: Recipe, others: list[Recipe], options: argparse.Namespace, results: Results
) -> None:
    """Ours stays; each peer is loaded beside it, for all rows in turn, and leaves."""
    with started(recipe, options, results) as side:
        for peer in others:
            with started(peer, options, results) as other:
                side.ask("warm")
                for one in measure([side, other], results.rows, options.rounds, progress):
                    results.taken[one.row.name].append(one)


def alone(
    recipe: Recipe, others: list[Recipe], options: argparse.Namespace, results: Results
) -> None:
    """One side after the other, for models of which no two copies fit."""
    rates: dict[str, dict[str, list[float]]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for one in (recipe, *others):
        with started(one, options, results) as side:
            rates[one.name], settings[one.name] = solo(side, results.rows, options.rounds)
    for row in results.rows:
        for peer in others:
            taken = Taken(row, recipe.name)
            for name in (recipe.name, peer.name):
                taken.rates[name] = rates[name][row.name]
                taken.settings[name] = settings[name][row.name]
            results.taken[row.name].append(taken)


def solo(side: Side, rows: list[Row], rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    rates: dict[str, list[float]] = {row.name: [] for row in rows}
    settings = {}
    for turn in range(rounds + 1):
        for row in rows:
            answer = side.ask(row.do, **row.arguments, seed=turn)
            settings[row.name] = answer["settings"]
            progress(row, side, answer["rate"])
            if turn:
                rates[row.name].append(answer["rate"])
    return rates, settings


@contextmanager
def started(recipe: Recipe, options: argparse.Namespace, results: Results) -> Iterator[Side]:
    say(f"loading {recipe.name}")
    with Side(recipe, options.threads, LOGS, search=not options.quick) as side:
        about = results.about[recipe.name] = side.ask("about")
        say(f"{recipe.name}: {about['version']}; {about['settings']}")
        say(f"    loaded in {about['load_seconds']:.2f} s")
        yield side


def peers(shape: skeleton.Skeleton, mine: Path, forms: list[random_gguf.Type]) -> Iterator[Recipe]:
    """llama.cpp at 4.5 bits in both of its kinds, repacked and as they lie in the file."""
    for form in forms:
        path = mine.with_name(f"{mine.name}.{form}.gguf")
        if not path.exists():
            say(f"writing {path}")
            random_gguf.write(path, shape, type=form)
        for words, suffix in ((("direct",), ""), (("direct", "as-it-lies"), ", as it lies")):
            name = f"llama.cpp {form.upper()}{suffix}"
            yield Recipe(name, install.PYTHON, "llama_side.py", path, options=words)


def read_file(machine: Machine, mine: Path) -> float:
    """Bytes a second from the mapped weights."""
    path = mine / "weights.farthing"
    return machine.read_file(min(1 << 31, path.stat().st_size), path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="qwen3-30b-a3b", help=", ".join(skeleton.names()))
    parser.add_argument("--layers", type=int, help="24 for Qwen3-30B-A3B, else all of them")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS, help="of the peer's")
    parser.add_argument(
        "--alone", action="store_true", help="one side after the other, not in turn"
    )
    parser.add_argument("--rounds", type=int, default=5, help="after the warm-up of each row")
    parser.add_argument("--quick", action="store_true", help="two rounds, settings not searched")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--remove", action="store_true", help="the weights, once measured")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 2
    return options


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def progress(row: Row, side: Any, rate: float) -> None:
    say(f"  {row.name:18} {side.name:24} {rate:10,.1f}")


if __name__ == "__main__":
    sys.exit(main())
