"""What this machine lets a process use: cores, memory, disk. Reads files, measures nothing.

Every reader takes the root of the file system, so that a test can stand a machine up in a folder.
"""

import os
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    present: int
    allowed: int
    """By the affinity mask (taskset, a container's cpuset)."""

    quota: Fraction | None
    """Of the cgroup: CPU time per time, 3/2 being one and a half cores. None: no limit."""

    @property
    def usable(self) -> int:
        """Threads that can run at once without being throttled; at least one."""
        if self.quota is None:
            return self.allowed
        return max(1, min(self.allowed, int(self.quota)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    total: int
    available: int
    """Bytes this process can still take: of the machine, or of its cgroup if that is less."""

    limit: int | None
    """The cgroup's."""


def cores(root: Path = Path("/")) -> Cores:
    return Cores(
        present=os.cpu_count() or 1, allowed=len(os.sched_getaffinity(0)), quota=_quota(root)
    )


def processor(root: Path = Path("/")) -> str:
    """The processor's own name, or an empty string where the kernel does not tell."""
    for line in _lines(root / "proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return " ".join(value.split())
    return ""


def memory(root: Path = Path("/")) -> Memory:
    known = dict(line.split(":", 1) for line in _lines(root / "proc/meminfo") if ":" in line)
    total, free = (int(known[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    limits = [
        (limit, limit - (_number(folder / "memory.current") or 0) + _reclaimable(folder))
        for folder in _cgroups(root)
        if (limit := _number(folder / "memory.max")) is not None
    ]
    if not limits:
        return Memory(total=total, available=free, limit=None)
    room = min(left for _, left in limits)
    return Memory(
        total=total, available=max(0, min(free, room)), limit=min(limit for limit, _ in limits)
    )


def free_disk(folder: Path) -> int:
    """Free bytes where `folder` is, or will be once it is made."""
    here = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
    return shutil.disk_usage(here).free


def _quota(root: Path) -> Fraction | None:
    found = []
    for folder in _cgroups(root):
        for line in _lines(folder / "cpu.max"):
            most, period = line.split()
            if most != "max":
                found.append(Fraction(int(most), int(period)))
    return min(found, default=None)


def _cgroups(root: Path) -> list[Path]:
    """This process's cgroup and all above it (version 2): each of them limits."""
    mount = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        if line.startswith("0::"):
            own = mount / line[3:].strip().lstrip("/")
            return [own, *(path for path in own.parents if path.is_relative_to(mount))]
    return [mount]


def _reclaimable(folder: Path) -> int:
    """File pages that the kernel gives back before it refuses: a packed model's are among them,
    the active ones too, when it was run before."""
    lines = (line.split() for line in _lines(folder / "memory.stat"))
    return sum(int(line[1]) for line in lines if line[0] in ("active_file", "inactive_file"))


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _lines(path: Path) -> list[str]:
    """Lines of a file, none if this kernel or container does not show it."""
    return path.read_text().splitlines() if path.is_file() else []
