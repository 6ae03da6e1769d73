"""Processes that are connected: by torchrun, or started here as it would, without its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import farthing

SOURCES = Path(farthing.__file__).parents[1]
SURROUNDINGS = os.environ | {"PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}


def torchrun(processes: int, *words: str | Path) -> list[str]:
    """A command line. Processes meet on a port of their own, so that tests never do."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*start, f"--nproc-per-node={processes}", *map(str, words)]


def pretrain(recipe: Path, into: Path, *flags: str) -> list[str]:
    """A verb as torchrun is told of it."""
    words = ["-m", "farthing.cli", "learn", "pretrain", recipe, "-o", into, "--threads", "1"]
    return [*map(str, words), *flags]


def said(processes: int, script: Path, *words: str) -> str:
    """What the first one wrote, once all have ended well."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_port()), "WORLD_SIZE": str(processes)}
    started = [
        subprocess.Popen(
            [sys.executable, str(script), *words],
            env=SURROUNDINGS | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        outputs = [process.communicate(timeout=240)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0] * processes
    return outputs[0]


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
