"""One at a time for each name, between processes. The system frees the lock of a dead process."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farthing.store.names import checked, root


@contextmanager
def only(name: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the name alone; calls `waiting` once if somebody else has it, then waits."""
    folder = root() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / checked(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
