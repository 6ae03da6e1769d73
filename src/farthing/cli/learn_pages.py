"""A training run as a page of curves and figures."""

import os
from pathlib import Path
from typing import Any

from farthing.cli import pages
from farthing.cli.pages import Code, Heading, Part, Picture, Table, Text
from farthing.config import settings
from farthing.learn import report
from farthing.learn.live import SETTLED, counted, duration
from farthing.learn.report import History
from farthing.learn.shortened import shortened
from farthing.meter import rate
from farthing.meter.settings import assumption, machine_price


def write(path: Path, history: History) -> None:
    """Raises InputError if matplotlib is missing or the page can't be written."""
    report.check()
    pages.check(path)
    pages.write(path, f"{history.facts['name']}: a training run", parts(history))


def figures(history: History) -> dict[str, Any]:
    """What programs ask of a run."""
    machines = int(history.facts.get("machines", 1))
    hour = machine_price(settings(), os.environ).hour_nanodollars * machines
    nanoseconds = int(float(history.last["elapsed"]) * rate.NANO)
    looks = history.looks
    return {
        **{name: history.facts[name] for name in ("name", "parameters", "active", "steps")},
        "step": history.last["step"],
        "tokens": history.last["tokens"],
        "loss": history.loss(),
        "held_out": looks[-1]["held_out"] if looks else {},
        "tokens_a_second": history.speed(),
        "share_of_peak": history.share(),
        "balance": history.balance_after(SETTLED),
        "seconds": history.last["elapsed"],
        "cpu_seconds": history.cpu(),
        "nanodollars": rate.cost(nanoseconds, hour),
    }


def rows(history: History) -> list[tuple[str, str]]:
    found, facts = figures(history), history.facts
    threads = counted(facts["threads"], "thread")
    out = [
        ("steps done", f"{found['step']:,} of {found['steps']:,}"),
        ("tokens trained on", f"{found['tokens']:,}"),
        ("parameters, of these active", f"{found['parameters']:,}, {found['active']:,}"),
        ("loss, mean of the last 1 % of steps", f"{found['loss']:.4f} nats a token"),
        ("speed", f"{found['tokens_a_second']:,.0f} tokens/s"),
        (
            "share of the bf16 matmul peak",
            f"{found['share_of_peak']:.1%} of {facts['peak'] / 1e9:,.0f} GFLOPS on"
            f" {threads}, at {facts['flops_a_token'] / 1e6:,.1f} MFLOP a token",
        ),
        ("time, with saving and looking", duration(found["seconds"])),
        ("processor time of the steps", duration(found["cpu_seconds"])),
        ("cost", rate.dollars(found["nanodollars"])),
    ]
    if found["balance"] is not None:
        told = f"{found['balance']:.3f}, mean of the steps after {SETTLED:.0%} of the run"
        out.append(("worst layer's busiest expert / mean", told))
    return out


def parts(history: History) -> list[Part]:
    return [
        Table(["", ""], [list(row) for row in rows(history)]),
        Heading("Curves"),
        Picture(report.draw(history), "losses, balance of experts, speed, learning rate"),
        *_held_out(history),
        Heading("Recipe"),
        Code(history.recipe),
        Text(
            f"farthing {history.facts['farthing']}, torch {history.facts['torch']},"
            f" {history.facts['instructions']}."
        ),
        Text(assumption(machine_price(settings(), os.environ), settings())),
    ]


def _held_out(history: History) -> list[Part]:
    if not history.looks:
        return []
    last = history.looks[-1]
    names = shortened(last["held_out"])
    table = [
        [
            names[name],
            f"{one['loss']:.4f}{_off(one['error'])}",
            f"{one['right']:.1%}",
            _maybe(one["next_token"], "{:.4f}"),
            _maybe(one["accepted"], "{:.1%}"),
            f"{one['tokens']:,}",
        ]
        for name, one in last["held_out"].items()
    ]
    headings = [
        "corpus",
        "loss (95 %)",
        "likeliest was right",
        "further loss",
        "accepted",
        "tokens",
    ]
    return [
        Heading(f"Held-out text after step {last['step']:,}"),
        Table(headings, table, frozenset(range(1, 6))),
        Text(
            "Losses in nats a token. Further: the next-token head's. Accepted: how often its"
            " likeliest token is the one that the model itself then finds likeliest."
        ),
    ]


def _off(error: float | None) -> str:
    return "" if error is None else f" ± {1.96 * error:.4f}"


def _maybe(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
