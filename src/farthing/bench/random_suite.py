"""Everything `farthing bench --random` measures, of a model of random weights in a packed folder.

Tokens are drawn, not chosen: a random model would soon choose the same ones again and again, and
with them the same experts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farthing.bench import decode, loaded, prefill
from farthing.bench.loaded import Loaded
from farthing.bench.machine import LARGEST, Limits, Machine
from farthing.bench.rig import Ids, Rigs, random_tokens
from farthing.bench.roofline import Roof
from farthing.bench.series import Series, interleaved
from farthing.bench.touched import Touched, watch
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.formats import packed
from farthing.formats.packed import WEIGHTS

PROMPT = 512
DEEP = 4096
WATCHED = 8
"""Steps of each batch whose routing is watched."""
ROUTER = ".mlp.gate.weight"
CACHE = 4 << 30
"""Only what is used of it is ever touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    name: str
    rate: Series
    """Tokens a second."""
    limit: float
    """The most that this machine allows."""
    step_bytes: float
    """What a step reads, of experts those that its tokens go to."""
    distinct: float | None
    """Experts of a layer that they go to, on average; None in a model without experts."""
    parts: dict[str, float]
    """Of the least time of a step, the share of each kind of op."""
    steps_per_second: float

    @property
    def share(self) -> float:
        """Of the roofline."""
        return self.rate.median / self.limit

    @property
    def bytes_per_second(self) -> float:
        return self.step_bytes * self.steps_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    model: str
    isa: str
    threads: int
    weight_bytes: int
    rows: list[Taken]
    loaded: Loaded
    limits: Limits
    read_file: dict[int, float]
    """Bytes a second from the mapped weights, by how many are read."""


def run(
    folder: Path, *, rounds: int, threads: int, quick: bool, seen: Callable[[str], None]
) -> Result:
    """Minutes long."""
    seen("load")
    size = (folder / WEIGHTS).stat().st_size
    warm(folder / WEIGHTS)
    load = loaded.measure(folder, threads)
    config = EngineConfig(threads=threads, max_step_tokens=PROMPT, cache_bytes=CACHE)
    runner = NativeRunner(folder, config)
    seen("routing")
    work = touched(runner, folder, config, quick)
    machine = Machine(runner.threads)
    reads = Reads(machine, folder / WEIGHTS, size)
    rows = measured(runner, work, Roof(reads, machine.peak), rounds, quick, seen)
    seen("limits")
    return Result(
        model=folder.name,
        isa=runner.isa,
        threads=runner.threads,
        weight_bytes=size,
        rows=rows,
        loaded=load,
        limits=machine.limits(),
        read_file=reads.taken,
    )


class Reads:
    """Bytes a second of a buffer about as large as asked; beyond LARGEST also from the weights
    themselves, whichever is faster: memory of that size need not be had to measure it."""

    def __init__(self, machine: Machine, path: Path, size: int) -> None:
        self.taken: dict[int, float] = {}
        self._machine, self._path, self._size = machine, path, size

    def __call__(self, size: float) -> float:
        plain = self._machine.read(size)
        if size <= LARGEST:
            return plain
        # In steps of a doubling, so that rows of nearly the same size share a measurement.
        rung = min(LARGEST << max(0, round(float(np.log2(size / LARGEST)))), self._size)
        if rung not in self.taken:
            self.taken[rung] = self._machine.read_file(rung, self._path)
        return max(plain, self.taken[rung])


def rows_of(runner: NativeRunner, quick: bool) -> list[decode.Row]:
    deep = decode.Row(1, min(DEEP, runner.max_context - 32), 32)
    rows = [decode.Row(1, 0, 64), decode.Row(8, 0, 32), decode.Row(32, 0, 16)]
    return [rows[0], rows[2]] if quick else [*rows, deep]


def touched(runner: NativeRunner, folder: Path, config: EngineConfig, quick: bool) -> Touched:
    """The work of the rows' steps by the experts that their tokens go to."""
    routers = (t for name, t in packed.open(folder).tensors.items() if name.endswith(ROUTER))
    if (router := next(routers, None)) is None:
        return Touched(runner, 0, 0, {})
    traced = NativeRunner(folder, config, trace=True)

    def run(rigs: Rigs) -> None:
        prefill.measure(rigs, prompt_of(runner))()
        for batch in {row.batch for row in rows_of(runner, quick)}:
            decode.measure(rigs, decode.Row(batch, 0, WATCHED), Drawn(runner.vocabulary))()

    return Touched(runner, router.shape[0], traced.top_ks[0], watch(traced, run))


def prompt_of(runner: NativeRunner) -> int:
    return min(PROMPT, runner.max_context)


def measured(
    runner: NativeRunner,
    work: Touched,
    roof: Roof,
    rounds: int,
    quick: bool,
    seen: Callable[[str], None],
) -> list[Taken]:
    rigs, rows, prompt = Rigs(runner), rows_of(runner, quick), prompt_of(runner)
    runs = {f"prefill {prompt}": prefill.measure(rigs, prompt)}
    steps, works = [prompt], [work.work_of([prompt], [0], 1)]
    limits = [prefill.limit(roof, work, prompt)]
    for row in rows:
        runs[row.name] = decode.measure(rigs, row, Drawn(runner.vocabulary))
        steps.append(row.batch)
        middle = row.depth + row.steps // 2
        works.append(work.work_of([1] * row.batch, [middle] * row.batch, row.batch))
        limits.append(decode.limit(roof, work, row))
    taken = interleaved(runs, rounds, seen)
    return [
        Taken(
            name=name,
            rate=taken[name],
            limit=limit,
            step_bytes=sum(op.bytes for op in ops),
            distinct=work.mean(tokens),
            parts=shares(roof.parts(ops)),
            steps_per_second=taken[name].median / tokens,
        )
        for name, limit, ops, tokens in zip(runs, limits, works, steps, strict=True)
    ]


def shares(seconds: dict[str, float]) -> dict[str, float]:
    whole = sum(seconds.values())
    return {name: part / whole for name, part in seconds.items()}


class Drawn:
    """Tokens at random, others at every call."""

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary, self._calls = vocabulary, 0

    def __call__(self, batch: int, step: int) -> Ids:
        self._calls += 1
        return random_tokens(batch, self._vocabulary, self._calls)


def warm(path: Path, piece: int = 1 << 26) -> None:
    """Bring a file into the page cache, as far as it fits there."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(piece)
        while file.readinto(buffer):
            pass
