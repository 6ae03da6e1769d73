"""Memory is read as the kernel counts it: what is a process's own, and what is only mapped."""

import mmap
import os

import pytest

from farthing.bench.memory import private
from farthing.errors import InputError

SIZE = 32 << 20


def test_memory_that_is_written_is_its_own():
    before = private(os.getpid())
    held = b"x" * SIZE
    grown = private(os.getpid()).own - before.own
    assert grown > 0.9 * len(held)


def test_a_mapped_file_is_not_its_own(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"w" * SIZE)
    os.sync()
    before = private(os.getpid())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[i] for i in range(0, SIZE, 4096)) > 0
        assert private(os.getpid()).own - before.own < SIZE // 4


def test_a_machine_without_the_file_is_told_so(tmp_path):
    with pytest.raises(InputError, match="Linux only"):
        private(1, root=tmp_path)
