"""Our side of the comparison on random weights: the bare runner, fed with given tokens.

Usage: farthing_moe.py PACKED_FOLDER THREADS search|first
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from side import Best, searching, serve

from farthing.bench import decode, prefill
from farthing.bench.random_rows import Drawn
from farthing.bench.random_suite import warm
from farthing.bench.rig import Rigs
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.formats.packed import WEIGHTS

CHUNK = 512


class Farthing:
    def __init__(self, folder: Path, threads: int) -> None:
        self.weights = folder / WEIGHTS
        warm(self.weights)
        start = perf_counter()
        config = EngineConfig(threads=threads, max_step_tokens=CHUNK, cache_bytes=4 << 30)
        self.runner = NativeRunner(folder, config)
        self.load_seconds = perf_counter() - start
        self.best, self.rigs = Best(search=searching()), Rigs(self.runner)
        self.rows: dict[Any, Callable[[], float]] = {}

    def about(self) -> dict[str, Any]:
        return {
            "version": "farthing",
            "instructions": self.runner.isa,
            "settings": f"INT4 in groups of 32, KV bf16, {self.runner.threads} threads, mapped",
            "load_seconds": self.load_seconds,
        }

    def warm(self) -> dict[str, Any]:
        """Brings the weights back into memory that something else has pushed out."""
        warm(self.weights)
        return {}

    def prefill(self, tokens: int, seed: int) -> dict[str, Any]:
        if tokens not in self.rows:
            self.rows[tokens] = prefill.measure(self.rigs, tokens)
        return self._run(tokens, self.runner.work_of([tokens], [0], 1))

    def decode(self, batch: int, depth: int, tokens: int, seed: int) -> dict[str, Any]:
        row = decode.Row(batch, depth, tokens)
        if row not in self.rows:
            self.rows[row] = decode.measure(self.rigs, row, Drawn(self.runner.vocabulary))
        return self._run(row, self.runner.work_of([1] * batch, [depth] * batch, batch))

    def _run(self, row: Any, work: list[Any]) -> dict[str, Any]:
        settings = {"bytes a step": sum(op.bytes for op in work)}
        return self.best.run(row, [{}], self.rows[row]) | {"settings": settings}


def main() -> None:
    side = Farthing(Path(sys.argv[1]), int(sys.argv[2]))
    serve({name: getattr(side, name) for name in ("about", "warm", "prefill", "decode")})


if __name__ == "__main__":
    main()
