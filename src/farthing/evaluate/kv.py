"""What the lever of a KV cache of fewer bits is called."""

from hashlib import file_digest
from pathlib import Path

from farthing.ops.key_fit import FILE

KV = {8: "int8", 4: "int4"}


def lever(folder: Path, kv_bits: int) -> str | None:
    """The lever's value, None where it is off. A cache of 4 bits is another one with every fit,
    which the value names by its hash: what was measured with another counts no more."""
    name, fit = KV.get(kv_bits), folder / FILE
    if kv_bits == 4 and fit.is_file():
        with fit.open("rb") as file:
            return f"{name} fitted {file_digest(file, 'sha256').hexdigest()[:8]}"
    return name
