"""What a process keeps for itself, as the kernel counts it. Linux only."""

from dataclasses import dataclass
from pathlib import Path

from farthing.errors import InputError


@dataclass(frozen=True, slots=True)
class Private:
    """Bytes that no other process maps."""

    own: int
    """Private_Dirty: backed by no file, or changed."""

    file: int
    """Private_Clean: pages of a file, the weights above all. The kernel takes them back at will."""


def private(process: int, root: Path = Path("/proc")) -> Private:
    path = root / str(process) / "smaps_rollup"
    if not path.exists():
        raise InputError(f"{path} is not there: private memory is measured on Linux only")
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines()[1:])
    dirty, clean = (int(fields[f"Private_{kind}"].split()[0]) for kind in ("Dirty", "Clean"))
    return Private(own=dirty * 1024, file=clean * 1024)


def children(process: int, root: Path = Path("/proc")) -> list[int]:
    """Processes it has started that still run."""
    tasks = root.joinpath(str(process), "task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]
