"""What this machine can do at most: bytes read, operations done a second. Keeps nothing.

A door to native/machine_limits.cpp, and all that rooms above may know of it.
"""

from pathlib import Path

from farthing import _native

KINDS = ("int8", "bf16", "fp32")


def read(size: int, threads: int, seconds: float, path: Path | None = None) -> float:
    """Bytes a second that threads read together, again and again: of anonymous memory (huge pages
    advised), or of the first `size` bytes of a mapped file. ValueError if size is tiny or beyond
    the file."""
    return float(_native.limits_read(size, threads, seconds, str(path or "")))


def arithmetic(kind: str, threads: int, seconds: float) -> float:
    """Operations a second of one of KINDS, a multiply-add being two."""
    return float(_native.limits_arithmetic(kind, threads, seconds))


def instruction(kind: str) -> str:
    """What `arithmetic` ran: the processor's best for that kind."""
    return str(_native.limits_instruction(kind))
