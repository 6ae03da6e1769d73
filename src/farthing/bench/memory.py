"""What a process keeps for itself, as the kernel counts it. Linux only."""

from pathlib import Path

from farthing.errors import InputError


def private_bytes(process: int, root: Path = Path("/proc")) -> int:
    """Private_Clean + Private_Dirty: pages that no file backs, or that are changed copies."""
    path = root / str(process) / "smaps_rollup"
    if not path.exists():
        raise InputError(f"{path} is not there: private memory is measured on Linux only")
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines()[1:])
    kept = (int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty"))
    return sum(kept) * 1024


def children(process: int, root: Path = Path("/proc")) -> list[int]:
    """Processes it has started that still run."""
    tasks = root.joinpath(str(process), "task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]
