"""Room on the disk: asked for before writing, and a clear word when it runs out all the same."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farthing.errors import DiskFull

RESERVE = 32 << 20
"""Left to the rest of the system."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def need(folder: Path, count: int, what: str) -> None:
    """Raise DiskFull with the counts unless `count` bytes fit where `folder` is."""
    free = shutil.disk_usage(folder).free - RESERVE
    if count > free:
        raise DiskFull(
            f"{what} takes {megabytes(count)} and {megabytes(max(free, 0))} are free in {folder};"
            f" make room (`farthing rm`), or set FARTHING_HOME to a larger disk"
        )


@contextmanager
def clear_when_full(what: str, folder: Path) -> Iterator[None]:
    """Turn the system's "no space left" into DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(folder).free
        raise DiskFull(
            f"{what}: the disk is full ({megabytes(free)} free in {folder}); nothing was kept."
            f" Make room (`farthing rm`), or set FARTHING_HOME to a larger disk"
        ) from error


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
