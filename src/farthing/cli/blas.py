"""What NumPy's products heed: read once, where NumPy is imported. Imports nothing of it."""

import os
from pathlib import Path

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
KERNELS = "OPENBLAS_CORETYPE"
WIDE = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})


def prepare(threads: int = 0, *, beside: int = 1) -> None:
    """Before NumPy is imported: the threads of a product (0 leaves them, but for `beside` products
    that are made at once), and its kernels where OpenBLAS does not know the processor.

    It gives AMD's latest the kernels of AVX2, half as fast as those it has; and its threads wait by
    spinning, so that more of them than cores cost much. A user's own setting stands.
    """
    if threads > 0:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    elif beside > 1:
        for name in THREADS:
            os.environ.setdefault(name, str(max(len(os.sched_getaffinity(0)) // beside, 1)))
    if KERNELS not in os.environ and _unknown(Path("/proc/cpuinfo")):
        os.environ[KERNELS] = "SKYLAKEX"


def _unknown(path: Path) -> bool:
    """Whether this is AMD's with AVX-512."""
    try:
        text = path.read_text()
    except OSError:
        return False
    found = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in found.items()}
    flags = set(fields.get("flags", "").split())
    return fields.get("vendor_id") == "AuthenticAMD" and flags >= WIDE
