"""Untrusted Python programs, each in a process of its own that can do little: did one pass?

A program gets a fresh interpreter without environment, arguments, inherited files or site packages,
in a session of its own; limits on processor time, wall time, memory, open files and file size; no
process, thread, socket or signal (seccomp); no file but Python's own and an empty folder, the only
place it may write (Landlock). None of it asks for privileges. See jail.py and calls.py.

Not covered: the tests run in the same interpreter as the program. One that is written against this
very file can find the token in memory, or change what the tests call. That makes a model's score a
lie, and harms nobody.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import sysconfig
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory, TemporaryFile
from time import monotonic, sleep
from typing import IO, Literal, NamedTuple, get_args

from farthing.errors import FarthingError, InputError
from farthing.evaluate.tasks import calls, jail

Outcome = Literal["passed", "failed", "timed out", "stopped"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
LOOKS = 0.01
"""Seconds between two looks at a running program."""
MOST_ENTRIES = 64
SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/dev/null", "/dev/zero", "/dev/urandom"),
)
STOPPED = ("MemoryError", "PermissionError", "OSError: [Errno 27]", "OSError: [Errno 38]")
"""How the errors begin that the limits bring about; 27 is a file too large, 38 a missing call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    seconds: float = 5.0
    """By the wall clock."""
    memory_bytes: int = 1 << 30
    """Of address space."""
    file_bytes: int = 1 << 20
    """Of one file; what is printed is one too."""
    files: int = 32
    """Open at once."""


DEFAULT = Limits()


class Ran(NamedTuple):
    outcome: Outcome
    detail: str
    """The last line of its error, or what stopped it."""


def check(*, unsafe: bool = False) -> None:
    """Raises InputError naming what this system can't take away from a program."""
    if unsafe:
        return
    try:
        ran = run("pass")
    except Broken as error:
        raise InputError(
            f"programs that a model wrote can't be shut in here: {error}. Ask for it to be done"
            " unsafely only in a machine that may be lost: nothing then keeps them from your files"
            " and network"
        ) from None
    if ran.outcome != "passed":
        raise InputError(f"an empty program does not pass in the sandbox: {ran.detail}")


class Broken(FarthingError):
    """What could not be taken away from a program, which then was not run."""


def run(program: str, limits: Limits = DEFAULT, *, unsafe: bool = False) -> Ran:
    """Whether a program comes to its end without an error. Raises Broken if it can't be shut in.

    With `unsafe` whatever this system can't take away stays with the program.
    """
    refusal, token = token_hex(16), token_hex(16)
    with (
        TemporaryDirectory(prefix="farthing-", ignore_cleanup_errors=True) as folder,
        TemporaryFile() as told,
        TemporaryFile() as out,
        TemporaryFile() as errors,
    ):
        job = {
            **asdict(limits),
            **{"program": program, "refusal": refusal, "token": token, "unsafe": unsafe},
            **{"folder": folder, "readable": readable(), "filter": _filter().hex()},
        }
        told.write(json.dumps(job).encode())
        told.seek(0)
        stopped, code = _watch(_start(told, out, errors), folder, limits.seconds)
        printed, complaint = _read(out, limits), _read(errors, limits)
    if printed.startswith(refusal.encode()):
        raise Broken(printed.removeprefix(refusal.encode()).decode(errors="replace"))
    detail = stopped or _detail(complaint, code)
    if not stopped and code == 0 and printed.endswith(token.encode()):
        return Ran("passed", "")
    return Ran(_outcome(detail, stopped, code), detail)


def readable() -> list[str]:
    """What Python needs to import its standard library."""
    paths = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    return [*paths, os.path.join(sys.base_prefix, "lib"), *SYSTEM]


def _filter() -> bytes:
    machine = calls.MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    return calls.filter(machine) if machine else b""


def _start(told: IO[bytes], out: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # -I: no environment, no user's packages, no current folder; -S: no site; -B: no .pyc written
    command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(Path(jail.__file__))]
    return subprocess.Popen(
        command, stdin=told, stdout=out, stderr=errors, env={}, start_new_session=True
    )


def _watch(process: subprocess.Popen[bytes], folder: str, seconds: float) -> tuple[str, int]:
    """Waits for its end, or brings it about. What stopped it, if we did; its exit code."""
    stopped, deadline = "", monotonic() + seconds
    try:
        while process.poll() is None and not stopped:
            if monotonic() > deadline:
                stopped = "timed out"
            elif len(os.listdir(folder)) > MOST_ENTRIES:
                stopped = f"made more than {MOST_ENTRIES} files"
            else:
                sleep(LOOKS)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return stopped, process.returncode


def _read(file: IO[bytes], limits: Limits) -> bytes:
    file.seek(0)
    return file.read(limits.file_bytes + 1)


def _detail(complaint: bytes, code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    lines = complaint.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else f"ended early, exit code {code}"


def _outcome(detail: str, stopped: str, code: int) -> Outcome:
    if stopped == "timed out":
        return "timed out"
    return "stopped" if stopped or code < 0 or detail.startswith(STOPPED) else "failed"
