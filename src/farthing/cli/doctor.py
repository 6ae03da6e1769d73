"""`farthing doctor`: what this machine can do for us, and what is wrong with it."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from farthing import __version__, machine, store
from farthing.cli.fits import KEPT, Fit, fits
from farthing.cli.ls import gigabytes
from farthing.config import home
from farthing.engine.runner import choose_isa
from farthing.ops import isa, limits

LEAST_DISK = 1 << 30
BUFFER = 512 << 20
SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Measured now, with all usable threads; a busy neighbour shows in it."""

    read_bytes: float
    """A second, from a buffer far larger than the caches."""

    int8_operations: float
    """A second; a multiply-add is two."""

    int8_instruction: str
    bf16_operations: float
    bf16_instruction: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    version: str
    processor: str
    cores: machine.Cores
    isa: str
    instruction_sets: dict[str, str | None]
    """Compiled, best first: what this processor lacks for it, None where it runs."""
    speed: Speed
    memory: machine.Memory
    fits: list[Fit]
    home: str
    free_disk: int
    models: int
    problems: list[str]


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Say what this machine can do: cores, kernels, bandwidth, arithmetic, memory, what fits.

    Takes a few seconds, for bandwidth and arithmetic are measured: run it on a quiet machine.
    Exits with 1 if something needs mending, and names it.

    Parameters
    ----------
    as_json
        Print one JSON object instead.
    """
    report = examine()
    if as_json:
        print(json.dumps(plain(report)))
    else:
        show(report)
    return 1 if report.problems else 0


def examine() -> Report:
    cores, memory = machine.cores(), machine.memory()
    speed = measure(cores.usable, min(BUFFER, memory.available // 4))
    models, disk = store.models(), machine.free_disk(home())
    sets, used = isa.compiled(), choose_isa()
    problems = [
        *kernels_amiss(used, sets),
        *machine_amiss(cores, memory, disk),
        *(f"{model.name} is damaged: {model.problem}" for model in models if model.problem),
    ]
    return Report(
        version=__version__,
        processor=machine.processor(),
        cores=cores,
        isa=used,
        instruction_sets=sets,
        speed=speed,
        memory=memory,
        fits=fits(memory.available, speed.read_bytes),
        home=str(home()),
        free_disk=disk,
        models=len(models),
        problems=problems,
    )


def measure(threads: int, size: int) -> Speed:
    return Speed(
        read_bytes=limits.read(size, threads, SECONDS),
        int8_operations=limits.arithmetic("int8", threads, SECONDS),
        int8_instruction=limits.instruction("int8"),
        bf16_operations=limits.arithmetic("bf16", threads, SECONDS),
        bf16_instruction=limits.instruction("bf16"),
    )


def kernels_amiss(used: str, sets: dict[str, str | None]) -> Iterator[str]:
    best = next(name for name, missing in sets.items() if missing is None)
    if used != best:
        yield f"FARTHING_ISA forces {used}, and {best} runs here too; unset it"
    elif used == "portable":
        yield "only the portable kernels run here: expect a tenth of the speed"


def machine_amiss(cores: machine.Cores, memory: machine.Memory, disk: int) -> Iterator[str]:
    if cores.quota is not None and cores.quota < cores.allowed:
        yield (
            f"the cgroup allows {float(cores.quota):g} of {cores.allowed} cores: more threads than"
            f" that are throttled; serve with --threads {cores.usable}"
        )
    if memory.available < KEPT:
        yield f"{gigabytes(memory.available)} of memory are free; even a small model wants 1.6 GB"
    if disk < LEAST_DISK:
        yield f"{gigabytes(disk)} are free in {home()}; set FARTHING_HOME to a larger disk"
    if not writable():
        yield f"{home()} can't be written; set FARTHING_HOME to a folder of yours"


def writable() -> bool:
    folder = home().absolute()
    here = next(path for path in [folder, *folder.parents] if path.exists())
    return os.access(here, os.W_OK)


def plain(report: Report) -> dict[str, object]:
    """For JSON, which knows no fractions."""
    found = asdict(report)
    quota = report.cores.quota
    found["cores"]["quota"] = None if quota is None else float(quota)
    found["cores"]["usable"] = report.cores.usable
    return found


def show(report: Report) -> None:
    for name, value in lines(report):
        print(f"{name:12}{value}")
    print()
    Console().print(sizes(report.fits))
    for problem in report.problems:
        print(f"\nAmiss: {problem}")


def lines(report: Report) -> Iterator[tuple[str, str]]:
    cores, memory, speed = report.cores, report.memory, report.speed
    quota = "" if cores.quota is None else f", cgroup allows {float(cores.quota):g}"
    yield "farthing", report.version
    yield "processor", report.processor or "unknown"
    yield "cores", f"{cores.usable} usable of {cores.present} ({cores.allowed} by affinity{quota})"
    yield "kernels", f"{report.isa} in use"
    for name, missing in report.instruction_sets.items():
        why = "runs here" if missing is None else f"not here: the processor lacks {missing}"
        yield "", f"{name:12}{why}"
    yield "reads", f"{speed.read_bytes / 1e9:.1f} GB/s"
    yield "int8", f"{speed.int8_operations / 1e9:,.0f} GOPS ({speed.int8_instruction})"
    yield "bf16", f"{speed.bf16_operations / 1e9:,.0f} GOPS ({speed.bf16_instruction})"
    limit = "" if memory.limit is None else f", cgroup's limit {gigabytes(memory.limit)}"
    yield "memory", f"{gigabytes(memory.available)} free of {gigabytes(memory.total)}{limit}"
    yield "home", f"{report.home}, {gigabytes(report.free_disk)} free, models: {report.models}"


def sizes(found: list[Fit]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "awake a token", "at int4", "fits as", "decodes at most"):
        table.add_column(heading, justify="right")
    for fit in found:
        fitting = fit.widest is not None
        table.add_row(
            f"{fit.parameters:g} B",
            "all" if fit.awake == fit.parameters else f"{fit.awake:g} B",
            gigabytes(fit.int4_bytes),
            fit.widest or "too large",
            f"{fit.decode_limit:g} tokens/s at int4" if fitting else "",
        )
    return table
