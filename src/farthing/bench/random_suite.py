"""Everything `farthing bench --random` measures, of random weights in a packed folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farthing.bench import loaded, random_rows
from farthing.bench.loaded import Loaded
from farthing.bench.machine import LARGEST, Limits, Machine
from farthing.bench.random_rows import PROMPT, Case, Cases, Mixture
from farthing.bench.roofline import Roof
from farthing.bench.routings import Routes, Routing, recorded, zipf
from farthing.bench.series import Series, interleaved
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.formats import packed
from farthing.formats.packed import WEIGHTS

CACHE = 4 << 30
"""Only what is used of it is ever touched."""
ROUTER = ".mlp.gate.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    case: Case
    rate: Series
    """Tokens a second."""
    least: dict[str, float]
    """Of the least time of a step, the share of each kind of op."""
    spent: dict[str, float]
    """Of the time that one thread took, the same."""

    @property
    def share(self) -> float:
        """Of the roofline."""
        return self.rate.median / self.case.limit

    @property
    def step_bytes(self) -> int:
        return sum(op.bytes for op in self.case.work)

    @property
    def bytes_per_second(self) -> float:
        return self.step_bytes * self.rate.median / self.case.tokens


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
    kv_bits: int = 16


def run(
    folder: Path,
    *,
    rounds: int,
    threads: int,
    quick: bool,
    seen: Callable[[str], None],
    trace: Routes | None = None,
    kv_bits: int = 16,
) -> Result:
    """Minutes long. `trace` [L, T, k]: recorded routes to decode with besides."""
    seen("load")
    size = (folder / WEIGHTS).stat().st_size
    warm(folder / WEIGHTS)
    load = loaded.measure(folder, threads, kv_bits)
    config = EngineConfig(
        threads=threads, max_step_tokens=PROMPT, cache_bytes=CACHE, kv_bits=kv_bits
    )
    runner = NativeRunner(folder, config)
    seen("routing")
    mixture = mixture_of(folder, config, quick)
    machine = Machine(runner.threads)
    reads = Reads(machine, folder / WEIGHTS, size)
    cases = Cases(runner, Roof(reads, machine.peak), mixture)
    rows = measured(cases, cases.all(routings(mixture, trace), quick), rounds, seen)
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
        kv_bits=kv_bits,
    )


def mixture_of(folder: Path, config: EngineConfig, quick: bool) -> Mixture | None:
    tensors = packed.open(folder).tensors
    routers = [tensor for name, tensor in tensors.items() if name.endswith(ROUTER)]
    if not routers:
        return None
    traced = NativeRunner(folder, config, trace=True)
    return random_rows.mixture(traced, routers[0].shape[0], traced.top_ks, quick)


def routings(mixture: Mixture | None, trace: Routes | None) -> list[Routing]:
    if mixture is None:
        return []
    shape = (mixture.layers, mixture.experts, mixture.top_k)
    return [zipf(*shape)] + ([] if trace is None else [recorded(trace, *shape)])


def measured(
    cases: Cases, rows: list[Case], rounds: int, seen: Callable[[str], None]
) -> list[Taken]:
    taken = interleaved({row.name: row.run for row in rows}, rounds, seen)
    return [
        Taken(
            case=row,
            rate=taken[row.name],
            least=shares(cases.roof.parts(row.work)),
            spent=shares(spent(cases.runner, row)),
        )
        for row in rows
    ]


def spent(runner: NativeRunner, row: Case) -> dict[str, int]:
    """Nanoseconds of one thread in ops of each kind, of one more run: the clock costs a little."""
    runner.spent()
    row.run()
    return runner.spent()


def shares(seconds: Mapping[str, float]) -> dict[str, float]:
    whole = sum(seconds.values()) or 1
    return {name: part / whole for name, part in seconds.items()}


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


def warm(path: Path, piece: int = 1 << 26) -> None:
    """Bring a file into the page cache, as far as it fits there."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(piece)
        while file.readinto(buffer):
            pass
