"""Which instruction set the kernels run on."""

import os

from farthing import _native
from farthing.errors import InputError


def runnable() -> list[str]:
    """Instruction sets that this build holds and this processor runs, best first."""
    return [isa for isa, missing in _native.compiled() if missing is None]


def choose_isa() -> str:
    """The best one, or FARTHING_ISA. Raises InputError if that does not run here."""
    wanted = os.environ.get("FARTHING_ISA")
    if wanted is None:
        return runnable()[0]
    if wanted not in runnable():
        raise InputError(
            f"FARTHING_ISA is {wanted!r}, which does not run here; these do: "
            + ", ".join(runnable())
        )
    return wanted
