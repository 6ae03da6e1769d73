"""Progress of a download that others do: bytes that have arrived in a folder, as they grow."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""What is being done, bytes done, bytes in all (0 if not known)."""

Early = Callable[[Path], None]
"""Told the folder in which config.json has arrived, before the weights; may raise."""

EVERY_SECONDS = 0.2


def silent(doing: str, done: int, total: int) -> None:
    """The Progress that nobody sees."""


@contextmanager
def watch(folder: Path, doing: str, total: int, progress: Progress) -> Iterator[None]:
    stop = threading.Event()

    def tell() -> None:
        while not stop.wait(EVERY_SECONDS):
            progress(doing, min(arrived(folder), total), total)

    teller = threading.Thread(target=tell, daemon=True)
    progress(doing, 0, total)
    teller.start()
    try:
        yield
        progress(doing, total, total)
    finally:
        stop.set()
        teller.join()


def arrived(folder: Path) -> int:
    """Bytes under a folder whose files come and go meanwhile."""
    total = 0
    for base, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(base, file)).st_size
            except FileNotFoundError:
                continue
    return total
