"""Our side of the headline: the engine in this process, as the server steps it, without HTTP.

Usage: farthing_headline.py PACKED_FOLDER THREADS search|first
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from side import serve

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request, Sampling


class Farthing:
    def __init__(self, folder: Path, threads: int) -> None:
        began = perf_counter()
        # The same prompts come again in every round: what is kept of them must not help.
        config = EngineConfig(threads=threads, prefix_cache=False)
        self.runner = NativeRunner(folder, config)
        self.engine = Engine(self.runner, config)
        self.load_seconds = perf_counter() - began

    def about(self) -> dict[str, Any]:
        return {
            "version": "farthing",
            "instructions": self.runner.isa,
            "settings": f"weights as shipped, KV bf16, {self.runner.threads} threads, greedy,"
            " prefix cache off",
            "load_seconds": self.load_seconds,
        }

    def together(self, prompts: list[list[int]], tokens: int) -> dict[str, Any]:
        """All prompts at once."""
        began = perf_counter()
        made = self._answers(prompts, tokens)
        return {"seconds": perf_counter() - began, "ids": made}

    def alone(self, prompts: list[list[int]], tokens: int) -> dict[str, Any]:
        """One prompt after the other."""
        began = perf_counter()
        made = [self._answers([prompt], tokens)[0] for prompt in prompts]
        return {"seconds": perf_counter() - began, "ids": made}

    def _answers(self, prompts: list[list[int]], tokens: int) -> list[list[int]]:
        """No token ends an answer, so that all sides make as many."""
        made: dict[str, list[int]] = {}
        for index, prompt in enumerate(prompts):
            made[str(index)] = []
            sampling = Sampling(temperature=0.0)
            self.engine.submit(
                Request(id=str(index), tokens=prompt, max_tokens=tokens, sampling=sampling)
            )
        while not self.engine.idle:
            for token in self.engine.step().tokens:
                made[token.request].append(token.id)
        return list(made.values())


def main() -> None:
    side = Farthing(Path(sys.argv[1]), int(sys.argv[2]))
    serve({name: getattr(side, name) for name in ("about", "together", "alone")})


if __name__ == "__main__":
    main()
