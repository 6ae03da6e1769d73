"""farthing's training beside transformers' Trainer: one model, one batch, in turn: A B C A B C ...

`make bench-learn` runs it. The model is a small DeepSeek-V3 (learn_task.py), trained from random
weights in bf16 with 8,192 tokens a step. The Trainer runs twice, each time as it is fastest here of
several ways of its experts, of rows at once, and compiled: with weights in fp32 that compute in
bf16, as ours do, and with weights that are bf16 themselves, which is quicker and learns less well.
Ours runs twice: with Muon, whose own products the Trainer does not make, and with AdamW as it has.
Each side is a process of its own, asleep while another is measured. Prints a table; the last line
is JSON.

The share of the peak counts what the model asks for: products of the parameters a token meets, and
within attention, forward and twice on the way back; not the optimizer's, nor what is made again.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import install
from learn_results import OURS, OURS_ADAMW, PEER, PEER_BF16, Taken, best, record, shares, table
from learn_task import LENGTH, SHAPE, Task
from sides import Recipe, Side

from farthing import machine

PATIENCE = 1800.0
"""Seconds for one answer: what compiling takes on a busy machine."""
FEW = 2048
"""Tokens of a step that tries what is known to be slow: each token's experts are copied."""


def main() -> int:
    options = arguments()
    load_before = os.getloadavg()
    with TemporaryDirectory(prefix="farthing-learn-") as folder, ExitStack() as stack:
        task = Task.write(Path(folder), options.tokens)
        logs = install.ROOT / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        sides = {
            recipe.name: stack.enter_context(
                Side(recipe, options.threads, logs, search=False, patience=PATIENCE)
            )
            for recipe in recipes(task)
        }
        tried = []
        for peer, weights in ((PEER, "fp32"), (PEER_BF16, "bf16")):
            tried += search(sides[peer], task, weights, quick=options.quick)
        about = {name: side.ask("about") for name, side in sides.items()}
        alike(about)
        taken = measure(sides, options.rounds, options.steps)
    flops = about[OURS]["flops_a_token"]
    for name, told in about.items():
        print(f"{name}: {told['version']}; {told['settings']}")
    print(table(taken, flops))
    line = shares(taken, flops) | {
        **record(taken),
        "flops_a_token": flops,
        "tokens_a_step": task.tokens,
        "length": LENGTH,
        "steps_a_round": options.steps,
        "threads": options.threads,
        "tried": tried,
        "sides": about,
        "shape": SHAPE,
        "load_average": {"before": load_before, "after": os.getloadavg()},
    }
    print(json.dumps(line))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds; the Trainer as it is")
    parser.add_argument("--rounds", type=int, help="of each side in turn")
    parser.add_argument("--steps", type=int, default=4, help="timed in each round")
    parser.add_argument("--tokens", type=int, default=8192, help="of a step")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.threads = options.threads or machine.cores().usable
    return options


def recipes(task: Task) -> list[Recipe]:
    python = Path(sys.executable)
    ours = "farthing_learn.py"
    return [
        Recipe(OURS, python, ours, task.folder, ours=True, options=("muon",)),
        Recipe(OURS_ADAMW, python, ours, task.folder, ours=True, options=("adamw",)),
        Recipe(PEER, python, "transformers_learn.py", task.folder),
        Recipe(PEER_BF16, python, "transformers_learn.py", task.folder),
    ]


def search(peer: Side, task: Task, weights: str, *, quick: bool) -> list[dict[str, Any]]:
    """Leaves the peer as it is fastest with such weights, and tells all that was tried."""
    whole = task.tokens // LENGTH
    plain = {"experts": "grouped_mm", "weights": weights, "rows": whole, "compile": False}
    if quick:
        return [tell(peer, plain, task.tokens)]
    tried = [tell(peer, plain, task.tokens), tell(peer, plain | {"experts": "eager"}, task.tokens)]
    tried.append(tell(peer, plain | {"experts": "batched_mm", "rows": 2}, min(FEW, task.tokens)))
    chosen = best(tried)["settings"]
    for change in ({"rows": max(whole // 4, 1)}, {"compile": True}):
        tried.append(tell(peer, chosen | change, task.tokens))
        chosen = best(tried)["settings"]
    if tried[-1]["settings"] != chosen:
        tell(peer, chosen, task.tokens)
    return tried


def tell(peer: Side, settings: dict[str, Any], tokens: int) -> dict[str, Any]:
    found = {"settings": settings, "tokens": tokens}
    found |= peer.ask("choose", settings=settings, tokens=tokens)
    said = found.get("failed", f"{found['rate']:,.0f} tokens/s")
    print(f"  transformers with {settings}: {said}", file=sys.stderr, flush=True)
    return found


def alike(about: dict[str, dict[str, Any]]) -> None:
    """Both train as many parameters; the routers' corrections are no parameters over there."""
    corrections = SHAPE["n_routed_experts"] * SHAPE["num_hidden_layers"]
    for peer in (PEER, PEER_BF16):
        ours, theirs = about[OURS]["parameters"], about[peer]["parameters"]
        if not 0 <= ours - theirs <= corrections:
            sys.exit(f"not the same model: {ours:,} parameters here, {theirs:,} there")


def measure(sides: dict[str, Side], rounds: int, steps: int) -> Taken:
    taken = Taken()
    for _ in range(rounds):
        taken.peaks.append(sides[OURS].ask("peak")["flops"])
        for name, side in sides.items():
            found = side.ask("train", steps=steps)
            taken.rates[name].append(found["rate"])
            taken.losses[name] = found["loss"]
            print(f"  {name:20} {found['rate']:10,.0f}", file=sys.stderr, flush=True)
    return taken


if __name__ == "__main__":
    sys.exit(main())
