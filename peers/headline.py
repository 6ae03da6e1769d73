"""What an answer costs, and what is kept of its quality, beside transformers in bf16.

`make headline` runs it: SmolLM2-135M-Instruct, the weights as shipped (Q4_1) on our side, the same
numbers in bf16 on theirs; the same prompts, greedy, answers of the same length, the same number of
threads, measured in turn. transformers runs as people first run it, `generate` on one prompt after
the other, and then with all prompts in one padded batch. farthing is its engine in a process of its
own, all prompts at once, as its server steps it, without HTTP.

The quality is that of the base arithmetic on the same weights: against the same page in fp32, how
often each side's likeliest next token is the reference's; and beside it tasks, where the reference
is at least 30 points above chance. Ends with one JSON line.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import install
import numpy as np
from headline_results import OURS, PEER, Times, cost_shares, task_share
from sides import Recipe, Side

from farthing import config, machine
from farthing.meter.rate import NANO, MachinePrice, per_million
from farthing.meter.settings import machine_price
from farthing.tokenizer import Tokenizer

ROOT = install.ROOT / "headline"
TOPICS = ("typesseq", "typesmethods", "class", "with", "naming", "exceptions", "formatstrings")
"""Of Python's own manual: prompts are pieces of it."""
SHORTEST, LONGEST = 128, 196
ANSWER = 128


def main() -> int:
    options = arguments()
    needed()
    from compare import ours as packed_model
    from headline_quality import folder_of, quality

    packed = packed_model()
    theirs = folder_of(packed, ROOT)
    load_before = os.getloadavg()
    asked = prompts(Tokenizer.open(packed), options.prompts)
    about, times = race(packed, theirs, asked, options)
    price = machine_price(config.settings(), os.environ)
    costs = cost_shares(times)
    print(table(times, asked, price), flush=True)
    found = quality(packed, theirs, tokens=options.tokens, items=options.items)
    line = costs | {
        "quality_share": round(found["same_top"][OURS] / found["same_top"][PEER], 4),
        "task_share": task_share(found.pop("shares")),
        "quality": found,
        "seconds_a_request": times.record(),
        "prompts": len(asked),
        "prompt_tokens": sum(map(len, asked)),
        "answer_tokens": ANSWER,
        "price": price.describe(),
        "sides": about,
        "load_average": {"before": load_before, "after": os.getloadavg()},
    }
    print(quality_lines(line))
    print(json.dumps(line))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, a quarter of the text")
    parser.add_argument("--rounds", type=int, help="after the warm-up")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, help="that the quality is measured on")
    parser.add_argument("--items", type=int, help="of each task")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 4)
    options.tokens = options.tokens or (1024 if options.quick else 4096)
    options.items = options.items or (60 if options.quick else 240)
    options.threads = options.threads or machine.cores().usable
    return options


def needed() -> None:
    """Says what to install, if the peer is not here."""
    try:
        import torch as torch
        import transformers as transformers
    except ImportError as error:
        sys.exit(f"headline: {error}; transformers and torch: pip install 'farthing[test]'")


def prompts(tokenizer: Tokenizer, count: int) -> list[list[int]]:
    """Pieces of prose of SHORTEST to LONGEST tokens, no two the same."""
    ids = tokenizer.encode("\n\n".join(topics[name] for name in TOPICS))
    lengths = np.linspace(SHORTEST, LONGEST, count).astype(int).tolist()
    np.random.default_rng(0).shuffle(lengths)
    assert len(ids) >= sum(lengths), "the manual is too short for so many prompts"
    ends = np.cumsum(lengths).tolist()
    return [ids[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def race(
    packed: Path, theirs: Path, asked: list[list[int]], options: argparse.Namespace
) -> tuple[dict[str, Any], Times]:
    """Each way of each side in turn. One at a time takes a share of the prompts each round, so that
    all rounds together take them all."""
    logs, times = install.ROOT / "logs", Times()
    logs.mkdir(parents=True, exist_ok=True)
    python, few = Path(sys.executable), -(-len(asked) // options.rounds)
    few = min(few, 4) if options.quick else few
    with ExitStack() as stack:
        sides = [
            stack.enter_context(Side(recipe, options.threads, logs, search=False))
            for recipe in (
                Recipe(OURS, python, "farthing_headline.py", packed, ours=True),
                Recipe(PEER, python, "transformers_side.py", theirs),
            )
        ]
        about = {side.name: side.ask("about") for side in sides}
        for name, told in about.items():
            say(f"{name}: {told['version']}; {told['settings']}; {told['instructions']}")
        for turn in range(options.rounds + 1):
            # the first turn warms up
            some = asked[:2] if turn == 0 else asked[(turn - 1) * few : turn * few]
            for way, given in (("alone", some), ("together", asked)):
                for side in sides:
                    took = side.ask(way, prompts=given, tokens=ANSWER)["seconds"] / len(given)
                    say(f"  {side.name:14} {way:10} {took:8.3f} s a request")
                    if turn:
                        times.taken[side.name, way].append(took)
    return about, times


def table(times: Times, asked: list[list[int]], price: MachinePrice) -> str:
    """Seconds and dollars of a request and of a million tokens out."""
    hour, mean = price.hour_nanodollars, sum(map(len, asked)) / len(asked)
    lines = [
        f"{len(asked)} requests of {mean:.0f} tokens in (mean) and {ANSWER} out;"
        f" {price.describe()}",
        f"{'':28}{'s a request':>14}{'tokens out/s':>14}{'USD a million out':>20}",
    ]
    for (side, way), _ in sorted(times.taken.items()):
        seconds = times.seconds(side, way)
        rate = ANSWER / seconds
        dollars = per_million(rate, hour) / NANO
        how = "all together" if way == "together" else "one at a time"
        lines.append(f"{side + ', ' + how:28}{seconds:14.4f}{rate:14.1f}{dollars:20.4f}")
    return "\n".join(lines)


def quality_lines(line: dict[str, Any]) -> str:
    found = line["quality"]
    lines = [
        f"{name:14} same top {found['same_top'][name]:.2%},"
        f" KL {found['losses'][name]['kl']['mean']:.5f} to the same weights in fp32"
        for name in (OURS, PEER)
    ]
    for task in found["tasks"]:
        counts = "" if task["counts"] else "; not counted: too near chance"
        lines.append(
            f"{task['task']}: reference {task['reference']:.1%}, {PEER}"
            f" {task['transformers_bf16']:.1%}, {OURS} {task['farthing']:.1%}"
            f" (chance {task['chance']:.0%}{counts})"
        )
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
