"""Hostile programs, run for real: each is stopped, harms nothing, and counts as failed."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from farthing.errors import InputError
from farthing.evaluate.tasks import calls, sandbox
from farthing.evaluate.tasks.sandbox import Limits, run
from needed import HEADERS

QUICK = Limits(seconds=1.5)
pytestmark = pytest.mark.needs("landlock")


def test_honest_programs_pass():
    assert run("def f(x): return x + 1\nassert f(1) == 2").outcome == "passed"
    imports = "math, random, re, hashlib, heapq, collections, decimal, typing, datetime, json"
    assert run(f"import {imports}\nassert hashlib.md5(b'a').hexdigest()").outcome == "passed"
    assert run("open('note', 'w').write('x')\nassert open('note').read() == 'x'") == ("passed", "")


def test_a_wrong_answer_fails_and_says_why():
    assert run("assert 1 + 1 == 3, 'no'") == ("failed", "AssertionError: no")
    assert run("def f(:") == ("failed", "SyntaxError: invalid syntax")
    assert run("\0").outcome == run("1 / 0").outcome == run("x = '\ud800' * 2; y").outcome
    assert run("exit()").outcome == run("import sys; sys.exit(0)").outcome == "failed"


@pytest.mark.parametrize("leave", ["0", "1"])
def test_an_early_exit_proves_nothing(leave):
    program = f"print('all tests passed', flush=True)\nimport os\nos._exit({leave})\nassert False"
    ran = run(program)
    assert ran.outcome == "failed" and "ended early" in ran.detail


@pytest.mark.parametrize(
    "program",
    {
        "fork": "import os\nos.fork()",
        "fork bomb": "import os\nwhile True:\n  try: os.fork()\n  except OSError: raise",
        "thread bomb": "import _thread\nwhile True: _thread.start_new_thread(input, ())",
        "program": "import subprocess\nsubprocess.run(['ls'])",
        "shell": "import os\nos.execv('/bin/sh', ['sh', '-c', 'true'])",
        "system": "import os\nassert os.system('true') == 0",
        "memory": "x = bytearray(10 << 30)",
        "memory by and by": "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "print": "while True: print('x' * 4096)",
        "files": "n = 0\nwhile True:\n  open(str(n), 'w').write('x'); n += 1",
        "one file": "with open('big', 'w') as f:\n  while True: f.write('x' * 65536)",
        "open": "x = []\nwhile True: x.append(open('/dev/null'))",
        "socket": "import socket\nsocket.socket()",
        "socket pair": "import socket\nsocket.socketpair()",
        "crash": "import ctypes\nctypes.string_at(1)",
        "stack": "import sys\nsys.setrecursionlimit(10 ** 9)\nf = lambda: f()\nf()",
        "more memory": "import resource as r\nr.setrlimit(r.RLIMIT_AS, (1 << 40, 1 << 40))",
        "trace": "import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
        "mount": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "what it printed": "print('x', flush=True)\nimport os\nos.ftruncate(1, 0)\nos._exit(0)",
        "its error": "import os\nos.close(2)\n1 / 0",
        "folder": "import os\nos.mkdir('a')",
        "link": "import os\nos.symlink('/etc', 'a')",
    }.items(),
    ids=lambda entry: entry[0],
)
def test_it_is_stopped(program: tuple[str, str]):
    ran = run(program[1], QUICK)
    assert ran.outcome in {"failed", "stopped", "timed out"} and ran.detail


@pytest.mark.parametrize("program", ["import time\ntime.sleep(1e6)", "while True: pass"])
def test_what_never_ends_is_timed_out(program: str):
    assert run(program, Limits(seconds=0.3)).outcome == "timed out"


def test_what_swallows_every_error_is_timed_out():
    program = "while True:\n  try:\n    while True: pass\n  except BaseException: pass"
    assert run(program, Limits(seconds=0.3)).outcome == "timed out"


def test_nothing_outside_is_read(tmp_path: Path):
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    for path in (str(secret), "/etc/passwd", "/proc/self/environ", f"/proc/{os.getpid()}/environ"):
        ran = run(f"open({path!r}).read()")
        assert ran.outcome == "stopped" and "PermissionError" in ran.detail
    assert "PermissionError" in run(f"import os\nos.listdir({str(tmp_path)!r})").detail
    assert "PermissionError" in run("import os\nos.listdir('/')").detail


def test_nothing_outside_is_written_or_changed(tmp_path: Path):
    kept = tmp_path / "kept"
    kept.write_text("here")
    before = kept.stat()
    for doing in (
        f"open({str(kept)!r}, 'w')",
        f"open({str(kept)!r}, 'a')",
        f"import os; os.open({str(kept)!r}, os.O_RDONLY | os.O_TRUNC)",
        f"import os; os.truncate({str(kept)!r}, 0)",
        f"import os; os.unlink({str(kept)!r})",
        f"import os; os.rename({str(kept)!r}, 'mine')",
        f"import os; os.link({str(kept)!r}, 'mine')",
        f"import os; os.chmod({str(kept)!r}, 0o777)",
        f"import os; os.chown({str(kept)!r}, 1, 1)",
        f"import os; os.utime({str(kept)!r}, (0, 0))",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"import os; os.mkdir({str(tmp_path / 'new')!r})",
        "open('../out', 'w')",
    ):
        assert run(doing).outcome == "stopped", doing
    after = kept.stat()
    assert kept.read_text() == "here" and list(tmp_path.iterdir()) == [kept]
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_its_parent_lives_and_hears_no_signal():
    for number in (9, 15, 0):
        ran = run(f"import os\nos.kill(os.getppid(), {number})")
        assert ran.outcome == "stopped" and "PermissionError" in ran.detail
    owner = "import fcntl, os\nfcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())"
    assert run(owner).outcome == "stopped"


def test_no_connection_arrives():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        arrived = []

        def wait() -> None:
            with suppress(TimeoutError):
                arrived.append(server.accept())

        thread = Thread(target=wait)
        thread.start()
        port = server.getsockname()[1]
        run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))")
        thread.join()
    assert not arrived


def test_nothing_is_inherited(monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    held = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        assert run("import os\nassert not os.environ, os.environ").outcome == "passed"
        program = """
import os, sys
for number in range(3, 32):
    try: os.fstat(number)
    except OSError: continue
    raise ValueError(number)
assert sys.stdin.read() == ''
assert sys.flags.isolated and sys.flags.no_site
assert not os.listdir('.')
"""
        assert run(program) == ("passed", "")
    finally:
        os.close(held)


def test_nothing_of_it_is_left(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run("open('left', 'w').write('x')\nwhile True: pass", Limits(seconds=0.3))
    assert not list(tmp_path.iterdir())


def test_where_it_cant_be_shut_in_it_does_not_run(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(calls, "MACHINES", {})
    with pytest.raises(InputError, match="no seccomp filter for this processor"):
        sandbox.check()
    with pytest.raises(sandbox.Broken, match="no seccomp"):
        run("pass")
    sandbox.check(unsafe=True)
    assert run("pass", unsafe=True).outcome == "passed"
    assert run("import time\ntime.sleep(9)", Limits(seconds=0.3), unsafe=True).outcome == (
        "timed out"
    )


def test_the_filter_asks_for_the_machine_first_and_ends_in_a_refusal():
    for machine in calls.MACHINES.values():
        lines = calls.filter(machine)
        assert len(lines) % 8 == 0 and len(lines) // 8 < 4096
        assert lines[-8:] == b"\x06\0\0\0\x01\0\x05\0"
        assert len(set(machine.calls)) == len(machine.calls)
        assert not {machine.ioctl, machine.fcntl} & set(machine.calls)


FORBIDDEN = {
    *("fork", "vfork", "clone", "clone3", "execve", "execveat", "kill", "tkill", "tgkill"),
    *("rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open", "ptrace"),
    *("socket", "socketpair", "connect", "bind", "sendto", "sendmsg", "io_uring_setup"),
    *("process_vm_readv", "process_vm_writev", "setrlimit", "prlimit64", "setpriority"),
    *("mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "utimensat", "setxattr"),
    *("mount", "umount2", "unshare", "setns", "chroot", "pivot_root", "bpf", "setuid", "setgid"),
    *("memfd_create", "shmget", "keyctl", "reboot", "kexec_load", "init_module", "seccomp"),
}


@pytest.mark.needs("kernel headers")
@pytest.mark.parametrize("name", sorted(HEADERS))
def test_no_number_on_the_list_is_of_a_call_that_does_harm(name: str):
    header = HEADERS[name]
    numbers = {
        int(number): call
        for call, number in re.findall(
            r"^#define __NR(?:3264)?_(\w+)\s+(\d+)\s*$", header.read_text(), re.MULTILINE
        )
    }
    machine = calls.MACHINES[name]
    allowed = {numbers[number] for number in machine.calls}
    assert not allowed & FORBIDDEN
    assert FORBIDDEN & set(numbers.values()) and {"read", "write", "openat"} <= allowed
    assert (numbers[machine.ioctl], numbers[machine.fcntl]) == ("ioctl", "fcntl")


def test_a_program_dies_with_those_who_run_it():
    runner = """
import sys
from farthing.evaluate.tasks import sandbox
inner = sandbox._start
def start(*files):
    process = inner(*files)
    print(process.pid, flush=True)
    return process
sandbox._start = start
sandbox.run("while True: pass", sandbox.Limits(seconds=60))
"""
    with subprocess.Popen([sys.executable, "-c", runner], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        status = Path(f"/proc/{child}/status")
        wait_until(lambda: "Seccomp:\t2" in status.read_text())
        parent.kill()
    wait_until(lambda: not status.exists() or "zombie" in status.read_text())


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        sleep(0.01)
    pytest.fail("it did not come to be")


def test_python_is_found_without_its_site():
    assert any(Path(path, "os.py").is_file() for path in sandbox.readable())
    assert Path(sys.base_prefix, "lib").as_posix() in sandbox.readable()
