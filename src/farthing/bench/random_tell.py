"""The results of `farthing bench --random`: a table for people, one JSON object for programs."""

from typing import Any

from rich.console import Group
from rich.table import Table

from farthing.bench.random_suite import Result, Taken
from farthing.bench.tell import limits_record, series


def table(result: Result) -> Group:
    cache = f"KV cache of {result.kv_bits} bits"
    title = f"{result.model}, {result.isa}, {result.threads} threads, {cache}; tokens/s"
    made = Table(title=title, pad_edge=False)
    made.add_column("", no_wrap=True)
    for heading in ("median", "limit here", "of it", "experts", "GB a step", "GB/s"):
        made.add_column(heading, justify="right")
    for row in result.rows:
        made.add_row(_short(row), *_cells(row))
    return Group(made, shares(result), *lines(result))


def shares(result: Result) -> Table:
    """Where a step's time goes, and where it would go at the limit."""
    kinds = sorted({kind for row in result.rows for kind in (*row.spent, *row.least)})
    made = Table(title="% of one thread's time / of the least time", box=None, pad_edge=False)
    made.add_column("", no_wrap=True)
    for kind in kinds:
        made.add_column(kind, justify="right")
    for row in result.rows:
        both = ((row.spent.get(kind, 0.0), row.least.get(kind, 0.0)) for kind in kinds)
        made.add_row(
            _short(row), *(f"{100 * spent:.0f} / {100 * least:.0f}" for spent, least in both)
        )
    return made


def _short(row: Taken) -> str:
    """Narrow enough for a table."""
    return row.case.name.removeprefix("decode, ").replace(", depth 0", "")


def _cells(row: Taken) -> list[str]:
    return [
        *(f"{value:,.1f}" for value in (row.rate.median, row.case.limit)),
        f"{row.share:.0%}",
        "" if row.case.distinct is None else f"{row.case.distinct:.1f}",
        f"{row.step_bytes / 1e9:.2f}",
        f"{row.bytes_per_second / 1e9:.1f}",
    ]


def lines(result: Result) -> list[str]:
    loaded = result.loaded
    reads = [f"{size / 1e6:,.0f} MB at {rate / 1e9:.0f} GB/s" for size, rate in _reads(result)]
    rest = loaded.own_bytes - loaded.page_bytes
    return [
        f"this machine reads {', '.join(reads)}; experts: of a layer, those that a step's tokens"
        " go to, and GB a step counts no others",
        f"loaded in {loaded.load_seconds:.2f} s; beside {result.weight_bytes / 1e9:.2f} GB of"
        f" mapped weights and the KV cache the process keeps {rest / 1e6:,.0f} MB",
    ]


def _reads(result: Result) -> list[tuple[int, float]]:
    return sorted({**result.limits.read, **result.read_file}.items())


def record(result: Result) -> dict[str, Any]:
    loaded = result.loaded
    return {
        "model": result.model,
        "isa": result.isa,
        "threads": result.threads,
        "kv_bits": result.kv_bits,
        "weight_bytes": result.weight_bytes,
        "rates": {
            row.case.name: {
                **series(row.rate),
                "limit": round(row.case.limit, 2),
                "share": row.share,
                "step_bytes": row.step_bytes,
                "distinct_experts": row.case.distinct,
                "bytes_per_second": round(row.bytes_per_second),
                "shares_of_time": row.spent,
                "shares_of_least_time": row.least,
            }
            for row in result.rows
        },
        "load_seconds": loaded.load_seconds,
        "first_prompt_seconds": loaded.first_seconds,
        "own_bytes": loaded.own_bytes,
        "kv_bytes": loaded.page_bytes,
        "peak_bytes": loaded.peak_bytes,
        "limits": limits_record(result.limits)
        | {"read_file_bytes_per_second": {str(k): v for k, v in result.read_file.items()}},
    }
