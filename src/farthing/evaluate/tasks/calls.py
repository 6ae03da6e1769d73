"""The system calls that a program under test may make, as a seccomp filter. Linux only.

A list of what is allowed, so that a call nobody thought of is forbidden: no process or thread is
begun, nothing is executed, no socket is opened, no signal sent, no owner or mode of a file changed.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple


class Machine(NamedTuple):
    audit: int
    """Its AUDIT_ARCH, from linux/audit.h."""
    calls: tuple[int, ...]
    ioctl: int
    fcntl: int


X86_64 = (
    *(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),  # read write open close stat .. poll lseek .. brk
    *(13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25),  # rt_sig* pread .. access pipe .. mremap
    *(26, 28, 32, 33, 35, 36, 37, 38, 39),  # msync madvise dup nanosleep *itimer alarm getpid
    *(60, 63, 74, 75, 76, 77, 78, 79, 80, 81),  # exit uname fsync *truncate getdents *cwd *chdir
    *(82, 87, 89, 95, 96, 97, 98, 99, 100),  # rename unlink readlink umask get* sysinfo times
    *(102, 104, 107, 108, 110, 111, 127, 128, 131),  # get*id rt_sigpending .. sigaltstack
    *(158, 186, 201, 202, 204, 213, 217, 218),  # arch_prctl gettid time futex .. set_tid_address
    *(228, 229, 230, 231, 232, 233, 257, 262, 263),  # clock_* exit_group epoll_* openat .. unlinkat
    *(264, 267, 269, 270, 271, 273, 281, 290, 291),  # renameat .. ppoll set_robust_list eventfd2
    *(292, 293, 295, 296, 316, 318, 332, 334, 439),  # dup3 pipe2 .. getrandom statx rseq faccessat2
)
AARCH64 = (
    *(17, 19, 20, 21, 22, 23, 24, 35, 38),  # getcwd eventfd2 epoll_* dup dup3 unlinkat renameat
    *(45, 46, 48, 49, 50, 56, 57, 59, 61, 62),  # *truncate faccessat *chdir openat close pipe2
    *(63, 64, 65, 66, 67, 68, 69, 70, 72, 73),  # read write *v p* pselect6 ppoll
    *(78, 79, 80, 82, 83, 93, 94, 96, 98, 99),  # readlinkat *stat fsync exit* set_tid* futex
    *(101, 102, 103, 113, 114, 115, 123, 124),  # nanosleep *itimer clock_* sched_*
    *(132, 134, 135, 136, 137, 139, 153, 160),  # sigaltstack rt_sig* but rt_sigqueueinfo .. uname
    *(165, 166, 169, 172, 173, 174, 175, 176, 177),  # getrusage umask get*
    *(178, 179, 214, 215, 216, 222, 226, 227, 233),  # gettid sysinfo brk m*
    *(276, 278, 291, 293, 439),  # renameat2 getrandom statx rseq faccessat2
)
MACHINES = {
    "x86_64": Machine(0xC000003E, X86_64, ioctl=16, fcntl=72),
    "aarch64": Machine(0xC00000B7, AARCH64, ioctl=29, fcntl=25),
}
IOCTLS = (0x5401, 0x5413, 0x5450, 0x5451, 0x802C542A)
"""TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX, TCGETS2: is this a terminal? Others change files."""
FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 1030)
"""Duplicates, flags and locks. F_SETOWN and F_SETSIG would send signals to others."""

NEW = 434
"""Calls from here on are numbered alike everywhere; a libc that finds one missing does without."""
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | 1, 0x50000 | 38
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCH, ARGUMENT = 0, 4, 24
"""Where struct seccomp_data holds the call's number, the machine, and the second argument's low
half (both machines are little-endian)."""


def filter(machine: Machine) -> bytes:
    """struct sock_filter[], for prctl(PR_SET_SECCOMP)."""
    return b"".join(struct.pack("<HBBI", *line) for line in _lines(machine))


def _lines(machine: Machine) -> Iterator[tuple[int, int, int, int]]:
    """(code, jump if true, jump if false, value), one instruction each."""
    yield LOAD, 0, 0, ARCH
    yield EQUAL, 1, 0, machine.audit
    yield RETURN, 0, 0, KILL
    yield LOAD, 0, 0, NUMBER
    for call, values in ((machine.ioctl, IOCTLS), (machine.fcntl, FCNTLS)):
        yield EQUAL, 0, 2 + 2 * len(values), call
        yield LOAD, 0, 0, ARGUMENT
        yield from _allow(values)
        yield RETURN, 0, 0, EPERM
    yield from _allow(machine.calls)
    yield AT_LEAST, 0, 1, NEW
    yield RETURN, 0, 0, ENOSYS
    yield RETURN, 0, 0, EPERM


def _allow(values: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    for value in values:
        yield EQUAL, 0, 1, value
        yield RETURN, 0, 0, ALLOW
