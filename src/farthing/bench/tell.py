"""The results of `farthing bench`: a table for people, one JSON object for programs."""

from typing import Any

from rich.console import Group
from rich.table import Table

from farthing.bench.machine import Limits
from farthing.bench.series import Series
from farthing.bench.suite import Rate, Result


def table(result: Result) -> Group:
    """Everything that was measured, with the share of the roofline."""
    cache = f"KV cache of {result.kv_bits} bits"
    title = f"{result.model}, {result.isa}, {result.threads} threads, {cache}; tokens/s"
    made = Table(title=title, pad_edge=False)
    made.add_column("")
    for heading in ("median", "best", "worst", "limit here", "of the limit"):
        made.add_column(heading, justify="right")
    for rate in result.rates:
        made.add_row(rate.name, *_cells(rate))
    return Group(made, *lines(result))


def _cells(rate: Rate) -> list[str]:
    taken = (rate.taken.median, rate.taken.best, rate.taken.worst, rate.limit)
    return [*(f"{value:,.1f}" for value in taken), f"{rate.share:.0%}"]


def lines(result: Result) -> list[str]:
    limits, beside = result.limits, result.overhead
    read = ", ".join(
        f"{size / 1e6:,.0f} MB at {rate / 1e9:.0f} GB/s" for size, rate in limits.read.items()
    )
    peaks = ", ".join(
        f"{kind} {rate / 1e9:,.0f} GOPS ({limits.instructions[kind]})"
        for kind, rate in limits.peaks.items()
    )
    return [
        f"this machine: reads {read}, the mapped weights at {result.read_file / 1e9:.0f} GB/s;"
        f" {peaks}",
        f"packed model to first token, process start included: {result.first_token.median:.2f} s",
        f"beside the native call, batch 32: {beside.share:.1%} of a step of"
        f" {beside.step_seconds * 1e3:.2f} ms",
        f"32 streams through HTTP: {result.served.median:,.0f} output tokens/s; both processes keep"
        f" {result.private_bytes / 1e6:,.0f} MB of their own, less KV pages, and"
        f" {result.file_bytes / 1e6:,.0f} MB of mapped files",
    ]


def record(result: Result) -> dict[str, Any]:
    """One flat object: rates by name, and what they are held against."""
    beside, limits = result.overhead, result.limits
    return {
        "model": result.model,
        "isa": result.isa,
        "threads": result.threads,
        "kv_bits": result.kv_bits,
        "weight_bytes": result.weight_bytes,
        "rates": {
            rate.name: {**series(rate.taken), "limit": round(rate.limit, 2), "share": rate.share}
            for rate in result.rates
        },
        "first_token_seconds": series(result.first_token),
        "served_tokens_per_second": series(result.served),
        "private_bytes": result.private_bytes,
        "file_bytes": result.file_bytes,
        "beside_native": {
            "share": beside.share,
            "step_seconds": beside.step_seconds,
            "native_seconds": beside.native_seconds,
        },
        "limits": limits_record(limits) | {"read_file_bytes_per_second": result.read_file},
    }


def limits_record(limits: Limits) -> dict[str, Any]:
    return {
        "threads": limits.threads,
        "read_bytes_per_second": {str(size): rate for size, rate in limits.read.items()},
        "operations_per_second": dict(limits.peaks),
        "instructions": dict(limits.instructions),
    }


def series(taken: Series) -> dict[str, float]:
    return {"median": taken.median, "best": taken.best, "worst": taken.worst}
