"""What the lever of a KV cache of fewer bits is called."""

from pathlib import Path

from farthing.ops.key_fit import FILE

KV = {8: "int8", 4: "int4"}


def lever(folder: Path, kv_bits: int) -> str | None:
    """The lever's value, None where it is off. A cache of 4 bits is another one once it is fitted:
    what was measured before counts no more."""
    name = KV.get(kv_bits)
    if kv_bits == 4 and (folder / FILE).is_file():
        return f"{name} fitted"
    return name
