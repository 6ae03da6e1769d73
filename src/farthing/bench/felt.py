"""What clients of a load felt: times to first token, between tokens, to the end; and goodput."""

from collections.abc import Sequence
from math import ceil
from statistics import fmean, median

import msgspec
from rich.table import Table

from farthing.bench.wires import Outcome


class Times(msgspec.Struct, frozen=True):
    """Milliseconds."""

    mean: float
    median: float
    p99: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    requests: int
    failed: int
    first_error: str | None
    seconds: float
    prompt_tokens: int
    """As the server counted."""
    output_tokens: int
    request_rate: float
    """A second, as the two below."""
    output_rate: float
    total_rate: float
    goodput: float
    """Requests a second that met both objectives."""
    first_seconds: float
    token_seconds: float
    client_cpu_seconds: float
    ttft: Times
    tpot: Times
    """Of each request: the time after its first token, by the tokens after it."""
    itl: Times
    """Between two events with text."""
    end_to_end: Times


def times(seconds: Sequence[float]) -> Times:
    """p99 by the nearest rank; zeros for nothing."""
    if not seconds:
        return Times(0.0, 0.0, 0.0)
    ordered = sorted(seconds)
    last = ordered[ceil(0.99 * len(ordered)) - 1]
    return Times(*(round(value * 1e3, 3) for value in (fmean(ordered), median(ordered), last)))


def per_token(outcome: Outcome) -> float:
    after = max(outcome.completion_tokens, len(outcome.times)) - 1
    return (outcome.times[-1] - outcome.times[0]) / after if after > 0 else 0.0


def report(
    outcomes: Sequence[Outcome],
    seconds: float,
    cpu_seconds: float,
    *,
    first_seconds: float,
    token_seconds: float,
) -> Report:
    good = [o for o in outcomes if o.error is None and o.times]
    output = sum(max(o.completion_tokens, len(o.times)) for o in good)
    prompt = sum(o.prompt_tokens for o in good)
    met = [
        o for o in good if o.times[0] - o.began <= first_seconds and per_token(o) <= token_seconds
    ]
    return Report(
        requests=len(outcomes),
        failed=len(outcomes) - len(good),
        first_error=next((o.error or "no text" for o in outcomes if o not in good), None),
        seconds=round(seconds, 4),
        prompt_tokens=prompt,
        output_tokens=output,
        request_rate=round(len(good) / seconds, 3),
        output_rate=round(output / seconds, 2),
        total_rate=round((output + prompt) / seconds, 2),
        goodput=round(len(met) / seconds, 3),
        first_seconds=first_seconds,
        token_seconds=token_seconds,
        client_cpu_seconds=round(cpu_seconds, 3),
        ttft=times([o.times[0] - o.began for o in good]),
        tpot=times([per_token(o) for o in good if len(o.times) > 1]),
        itl=times([b - a for o in good for a, b in zip(o.times, o.times[1:], strict=False)]),
        end_to_end=times([o.ended - o.began for o in good]),
    )


def table(report: Report) -> Table:
    """For people; the JSON beside it is `msgspec.json.encode(report)`."""
    made = Table(
        title=f"{report.requests} requests in {report.seconds:.2f} s,"
        f" {report.failed} failed; client CPU {report.client_cpu_seconds:.2f} s",
        pad_edge=False,
    )
    made.add_column("milliseconds")
    for heading in ("mean", "median", "p99"):
        made.add_column(heading, justify="right")
    for name, felt in (
        ("time to first token", report.ttft),
        ("time per output token", report.tpot),
        ("between tokens", report.itl),
        ("end to end", report.end_to_end),
    ):
        made.add_row(name, *(f"{value:,.1f}" for value in (felt.mean, felt.median, felt.p99)))
    made.caption = (
        f"{report.output_rate:,.1f} output tokens/s, {report.total_rate:,.1f} with the prompts,"
        f" {report.request_rate:.2f} requests/s; goodput {report.goodput:.2f} requests/s"
        f" (first token in {report.first_seconds:g} s, then {report.token_seconds * 1e3:g} ms each)"
    )
    return made
