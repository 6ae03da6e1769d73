"""The three speeds that prices are made of: prompts, one answer alone, and many together."""

from pathlib import Path

from farthing.bench import decode, prefill
from farthing.bench.rig import Rigs
from farthing.bench.series import interleaved
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner

PROMPT = 512
ALONE = decode.Row(1, 0, 128)
TOGETHER = decode.Row(32, 128, 128)
NAMES = (f"prefill {PROMPT}", ALONE.name, TOGETHER.name)
"""As `farthing bench` calls them."""


def rates(folder: Path, config: EngineConfig, *, rounds: int) -> dict[str, float]:
    """Tokens a second by NAMES, medians of rounds taken in turn. Some ten seconds for a small
    model. Raises InputError if the cache has no room for so many."""
    rigs = Rigs(NativeRunner(folder, config))
    rows = (
        prefill.measure(rigs, PROMPT),
        decode.measure(rigs, ALONE),
        decode.measure(rigs, TOGETHER),
    )
    taken = interleaved(dict(zip(NAMES, rows, strict=True)), rounds)
    return {name: series.median for name, series in taken.items()}
