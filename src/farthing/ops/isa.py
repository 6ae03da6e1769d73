"""Which instruction sets this build holds kernels for, and what the processor lacks for each."""

from farthing import _native

NUMERICS: int = _native.NUMERICS
"""Raised with any change of bits: what was measured under another holds no longer to the bit."""


def compiled() -> dict[str, str | None]:
    """Best first. None where it runs here, else the first feature that is missing."""
    return dict(_native.compiled())
