"""Which instruction sets this build holds kernels for, and what the processor lacks for each."""

from farthing import _native


def compiled() -> dict[str, str | None]:
    """Best first. None where it runs here, else the first feature that is missing."""
    return dict(_native.compiled())
