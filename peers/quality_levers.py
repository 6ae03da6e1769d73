"""What the engine's levers add to a packed model's own loss: int8 activations, int8 and int4 KV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from farthing.errors import FarthingError
from farthing.evaluate import cache_fit, measure
from farthing.evaluate.divergence import Ids, Tokens
from farthing.evaluate.interval import starts
from farthing.evaluate.readings import engine_reading, reference_reading


def levers(folder: Path, sequences: Sequence[Ids], lengths: Sequence[int]) -> dict[str, Any]:
    """By lever: KL to the same weights read in fp32, and what the lever adds to the one before.

    Of a cache that this build does not run, what it says.
    """
    judge, blocks = reference_reading(folder), starts(lengths)
    found: dict[str, Any] = {}
    base: Tokens | None = None
    for name, bits in (("activations int8", 16), ("kv int8", 8), ("kv int4", 4)):
        try:
            if bits == 4:
                cache_fit.fit(folder)
            reading = engine_reading(folder, bits)
        except FarthingError as error:
            found[name] = {"not measured": str(error)}
            continue
        (tokens,) = measure.compare(judge, [reading], sequences)
        found[name] = msgspec.to_builtins(measure.loss(tokens, blocks, before=base))
        found[name]["bytes_of_64_tokens"] = reading.runner.page_bytes
        base = base or tokens
    return found


def table(found: dict[str, Any]) -> str:
    lines = []
    for name, loss in found.items():
        if "kl" not in loss:
            lines.append(f"{name:18} not measured: {loss['not measured']}")
            continue
        added = loss["added"] or loss["kl"]
        lines.append(
            f"{name:18} adds KL {added['mean']:.5f} ({added['low']:.5f} to {added['high']:.5f}),"
            f" same top {loss['same_top']['mean']:.2%};"
            f" {loss['bytes_of_64_tokens'] / 64:,.0f} bytes of cache a token"
        )
    return "\n".join(lines)
