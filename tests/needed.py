"""What a test may need that pip cannot bring: how to tell it is here, and what would bring it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Need(NamedTuple):
    here: Callable[[], bool]
    install: str


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl: Debian keeps them out of PATH."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1] if found else None


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


NEEDED = {
    "chromium": Need(lambda: chromium() is not None, "apt install chromium"),
    "postgresql": Need(lambda: postgres_programs() is not None, "apt install postgresql"),
    "compiler": Need(lambda: shutil.which("g++") is not None, "apt install g++"),
}
