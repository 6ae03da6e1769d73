"""The hash that names a model's source."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

CHUNK = 1 << 22


def sha256_of(files: Sequence[Path], progress: Callable[[int], None] = lambda done: None) -> str:
    """SHA-256 of one file; of several, of their hex digests in order. `progress` hears bytes."""
    digests, done = [], 0
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                progress(done)
        digests.append(digest.hexdigest())
    return joined(digests)


def joined(digests: Sequence[str]) -> str:
    """The hash of several files from the hashes of each."""
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )
