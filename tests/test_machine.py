"""What the machine says of itself, read from a file system stood up in a folder."""

from fractions import Fraction
from pathlib import Path

import pytest

from farthing import machine

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of 8 GiB, 6 of them free, whose process lives in the cgroup /box/inner."""
    write(tmp_path, "proc/meminfo", f"MemTotal: {8 << 20} kB\nMemAvailable: {6 << 20} kB\n")
    write(tmp_path, "proc/cpuinfo", "processor : 0\nmodel name\t: Some  CPU @ 3 GHz\n")
    write(tmp_path, "proc/self/cgroup", "0::/box/inner\n")
    write(tmp_path, "sys/fs/cgroup/box/inner/cpu.max", "max 100000\n")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_without_limits_the_machine_is_all_there_is(root):
    assert machine.memory(root) == machine.Memory(
        total=8 * machine.GIB, available=6 * machine.GIB, limit=None
    )
    assert machine.cores(root).quota is None
    assert machine.processor(root) == "Some CPU @ 3 GHz"


def test_the_tightest_cgroup_above_counts(root):
    write(root, "sys/fs/cgroup/box/cpu.max", "150000 100000\n")
    write(root, "sys/fs/cgroup/cpu.max", "400000 100000\n")
    assert machine.cores(root).quota == Fraction(3, 2)


def test_file_pages_of_a_cgroup_are_room(root):
    write(root, "sys/fs/cgroup/box/memory.max", str(1024 * MIB))
    write(root, "sys/fs/cgroup/box/memory.current", str(900 * MIB))
    write(
        root,
        "sys/fs/cgroup/box/memory.stat",
        f"anon 5\ninactive_file {200 * MIB}\nactive_file {100 * MIB}\n",
    )
    write(root, "sys/fs/cgroup/box/inner/memory.max", "max\n")
    found = machine.memory(root)
    assert (found.limit, found.available) == (1024 * MIB, 424 * MIB)


@pytest.mark.parametrize(("quota", "usable"), [(None, 4), ("1/2", 1), ("5/2", 2), ("9", 4)])
def test_usable_cores_are_whole_and_at_least_one(quota, usable):
    share = quota and Fraction(quota)
    assert machine.Cores(present=8, allowed=4, quota=share or None).usable == usable


def test_disk_is_asked_where_a_folder_will_be(tmp_path):
    assert machine.free_disk(tmp_path / "not" / "yet") > 0


def test_this_machine_can_be_read():
    assert machine.memory().available <= machine.memory().total
    assert 1 <= machine.cores().usable <= machine.cores().present
