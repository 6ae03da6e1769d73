"""All of `farthing bench`: what is measured, in which order, and what comes out. Prints nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from farthing.bench import decode, first_token, overhead, prefill, served
from farthing.bench.machine import Limits, Machine
from farthing.bench.memory import Private
from farthing.bench.overhead import Overhead
from farthing.bench.rig import Rigs
from farthing.bench.roofline import Roof
from farthing.bench.series import Series, interleaved
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.errors import InputError

STEP_TOKENS = 512
STREAMS = 32


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second, and the most that this machine allows."""

    name: str
    taken: Series
    limit: float

    @property
    def share(self) -> float:
        """Of the roofline."""
        return self.taken.median / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    model: str
    isa: str
    threads: int
    weight_bytes: int
    rates: list[Rate]
    first_token: Series
    """Seconds from process start."""
    overhead: Overhead
    private_bytes: int
    """Of the server's two processes after a load, less the KV pages it took."""
    file_bytes: int
    """Clean pages of files that only they map: the weights, and libraries."""
    served: Series
    """Output tokens a second of such loads, through HTTP."""
    limits: Limits
    read_file: float
    """Bytes a second from the mapped weights, which are what a step reads."""
    kv_bits: int = 16

    def rate(self, name: str) -> float:
        return next(rate.taken.median for rate in self.rates if rate.name == name)


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int = 5
    """At least one."""
    prefills: tuple[int, ...] = prefill.SIZES
    decodes: tuple[decode.Row, ...] = field(default=decode.ROWS)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InputError(f"rounds is {self.rounds}; it must be at least 1")

    def names(self) -> Iterator[str]:
        yield from (f"prefill {size}" for size in self.prefills)
        yield from (row.name for row in self.decodes)


QUICK = Plan(3, (512,), tuple(row for row in decode.ROWS if row.batch in (1, 32)))


def run(
    folder: Path, plan: Plan, *, threads: int, seen: Callable[[str], None], kv_bits: int = 16
) -> Result:
    """Measures everything; `seen` is told what runs. Minutes long."""
    seen("served")
    answered = load(folder, threads, plan.rounds, kv_bits)
    config = EngineConfig(threads=threads, max_step_tokens=STEP_TOKENS, kv_bits=kv_bits)
    runner = NativeRunner(folder, config)
    machine = Machine(runner.threads)
    rates = measured(runner, machine, plan, seen)
    seen("limits")
    size = weight_bytes(folder)
    limits, read_file = machine.limits(), machine.read_file(size, folder / "weights.farthing")
    seen("first token")
    first = interleaved({"first": lambda: first_token.seconds(folder, kv_bits)}, plan.rounds)
    seen("beside the native call")
    beside = overhead.measure(folder, config, batch=STREAMS)
    return Result(
        model=folder.name,
        isa=runner.isa,
        threads=runner.threads,
        weight_bytes=size,
        rates=rates,
        first_token=first["first"],
        overhead=beside,
        private_bytes=answered.memory.own - answered.pages * runner.page_bytes,
        file_bytes=answered.memory.file,
        served=answered.rates,
        limits=limits,
        read_file=read_file,
        kv_bits=kv_bits,
    )


def measured(
    runner: NativeRunner, machine: Machine, plan: Plan, seen: Callable[[str], None]
) -> list[Rate]:
    roof = Roof(machine.read, machine.peak)
    limits = [prefill.limit(roof, runner, size) for size in plan.prefills]
    limits += [decode.limit(roof, runner, row) for row in plan.decodes]
    rigs = Rigs(runner)
    rows = [prefill.measure(rigs, size) for size in plan.prefills]
    rows += [decode.measure(rigs, row) for row in plan.decodes]
    names = list(plan.names())
    taken = interleaved(dict(zip(names, rows, strict=True)), plan.rounds, seen)
    return [Rate(name, taken[name], at) for name, at in zip(names, limits, strict=True)]


@dataclass(frozen=True, slots=True)
class Served:
    rates: Series
    """Output tokens a second of 32 streams."""
    memory: Private
    pages: int
    """KV pages that `memory` holds."""


def load(folder: Path, threads: int, rounds: int, kv_bits: int = 16) -> Served:
    """Of a server of its own. What else maps the weights meanwhile makes them count as shared."""
    flags = ("--threads", str(threads), "--kv-bits", str(kv_bits), "--unmeasured")
    with served.running(folder, *flags) as server:
        first = served.load(server, streams=STREAMS, prompt=126, output=128, seed=0)
        # Now, for the prefix cache keeps what later loads ask: their pages are harder to count.
        memory, pages = server.private(), served.pages_taken(first)
        rates = tuple(
            served.load(server, streams=STREAMS, prompt=126, output=128, seed=seed).output_rate
            for seed in range(1, rounds + 1)
        )
    return Served(Series(rates), memory, pages)


def weight_bytes(folder: Path) -> int:
    return (folder / "weights.farthing").stat().st_size
