"""`farthing serve` as a process of its own, as a user starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import farthing

MAIN = "import sys; from farthing.cli import main; sys.exit(main())"
SOURCE = str(Path(farthing.__file__).parents[1])


def environment(**more: str) -> dict[str, str]:
    """This process's, and the program that is tested."""
    return os.environ | {"PYTHONPATH": SOURCE} | more


@contextmanager
def serve(*arguments: str, **more: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process, and the first line it says; `more` goes to its environment."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "serve", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**more),
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.terminate()
        with process.stdout:
            rest = process.stdout.read()
        assert process.wait(20) == 0, rest
