"""What a test may need that pip cannot bring: how to tell it is here, and what would bring it."""

import ctypes
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from farthing.engine.isa import runnable


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


def landlock() -> bool:
    """What shuts untrusted programs in: without it farthing refuses to run them."""
    if platform.machine() not in {"x86_64", "aarch64"} or sys.platform != "linux":
        return False
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1)) >= 3


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
"""Numbers of system calls, by processor."""
NEEDED = {
    "kernel headers": Need(
        lambda: all(path.is_file() for path in HEADERS.values()), "apt install linux-libc-dev"
    ),
    "llama_cpp": Need(
        lambda: find_spec("llama_cpp") is not None, "pip install llama-cpp-python (compiles)"
    ),
    "chromium": Need(lambda: chromium() is not None, "apt install chromium"),
    "postgresql": Need(lambda: postgres_programs() is not None, "apt install postgresql"),
    "landlock": Need(landlock, "Linux 6.2 or newer with Landlock, on x86-64 or aarch64"),
    "lm_eval": Need(lambda: find_spec("lm_eval") is not None, "pip install lm_eval==0.4.13"),
    "avx512bf16": Need(lambda: "avx512bf16" in runnable(), "a processor with AVX512-BF16"),
    "compiler": Need(lambda: shutil.which("g++") is not None, "apt install g++"),
}
