"""Runs one untrusted program in a process that has given up what it could do harm with.

A script of its own, started by sandbox.py in a fresh interpreter; it imports the standard library
alone. What it is to do comes as JSON on stdin. It writes `token` after the program, if that came to
its end: an exit or an error on the way leaves none. Where something can't be taken away it writes
`refusal` and the reason, and the program is not run.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import types
from typing import Any

SET_PDEATHSIG, SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 1, 38, 22, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PATH_BENEATH = 444, 445, 446, 1
LEAST_ABI = 3
"""Before it Landlock lets a file be cut to nothing that may only be read."""
READ_FILE, READ_DIR = 1 << 2, 1 << 3
WRITE = 1 << 1 | 1 << 5 | 1 << 8 | 1 << 14
"""Write, remove, make and truncate plain files. No folders: they could be nested without end."""


class Unconfined(Exception):
    """What could not be taken away."""


def main() -> None:
    told: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.environ.clear()  # Python itself has put LC_CTYPE there
    os.chdir(told["folder"])
    for confine in (_die_with_parent, _limit, _landlock, _seccomp):
        try:
            confine(told)
        except (Unconfined, AttributeError, OSError, ValueError) as error:
            if not told["unsafe"]:
                os.write(1, f"{told['refusal']}{error}".encode())
                os._exit(1)
    write, leave = os.write, os._exit
    program = types.ModuleType("program")
    sys.modules["program"] = program
    source, token = told["program"], told["token"].encode()
    told.clear()
    exec(compile(source, "<program>", "exec"), program.__dict__)
    sys.stdout.flush()
    write(1, token)
    leave(0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise Unconfined(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _die_with_parent(told: dict[str, Any]) -> None:
    result = _libc().prctl(SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    _checked(result, "no signal at the parent's death")


def _limit(told: dict[str, Any]) -> None:
    seconds = int(told["seconds"]) + 1
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, told["file_bytes"]),
        (resource.RLIMIT_NOFILE, told["files"]),
        (resource.RLIMIT_AS, told["memory_bytes"]),
    ):
        resource.setrlimit(what, (most, most))


def _landlock(told: dict[str, Any]) -> None:
    """No file but those below `readable`, nothing written but in `folder`.

    Also no TCP from version 4 on, and from 6 on no signal to another process and no abstract
    socket: seccomp forbids these too.
    """
    call = _libc().syscall
    abi = call(CREATE_RULESET, None, 0, 1)
    if abi < LEAST_ABI:
        raise Unconfined(f"Landlock {max(abi, 0)}; {LEAST_ABI} or newer is needed (Linux 6.2)")
    every = (1 << 16 if abi >= 5 else 1 << 15) - 1
    parts = [every, *([3] if abi >= 4 else []), *([3] if abi >= 6 else [])]
    handled = struct.pack(f"<{len(parts)}Q", *parts)
    rules = _checked(call(CREATE_RULESET, handled, len(handled), 0), "Landlock")
    for path in told["readable"]:
        _rule(rules, path, READ_FILE | READ_DIR)
    _rule(rules, told["folder"], READ_FILE | READ_DIR | WRITE)
    _checked(_libc().prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _checked(call(RESTRICT_SELF, rules, 0), "Landlock")
    os.close(rules)


def _rule(rules: int, path: str, access: int) -> None:
    if not os.path.isdir(path):
        access &= ~READ_DIR
    try:
        below = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    packed = struct.pack("<Qi", access, below)
    _checked(_libc().syscall(ADD_RULE, rules, PATH_BENEATH, packed, 0), f"Landlock of {path}")
    os.close(below)


def _seccomp(told: dict[str, Any]) -> None:
    lines = bytes.fromhex(told["filter"])
    if not lines:
        raise Unconfined("no seccomp filter for this processor")
    held = ctypes.create_string_buffer(lines, len(lines))
    program = struct.pack("@HP", len(lines) // 8, ctypes.addressof(held))
    _checked(_libc().prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _checked(_libc().prctl(SET_SECCOMP, FILTER, program, 0, 0), "seccomp")


if __name__ == "__main__":
    main()
