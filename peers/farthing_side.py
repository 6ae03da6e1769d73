"""Our own side: the bare runner for raw speed, and the whole server behind HTTP for a load.

Usage: farthing_side.py PACKED_FOLDER THREADS search|first
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from side import Best, searching, serve

from farthing.bench import decode, prefill, served
from farthing.bench.rig import Rigs
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.tokenizer import Tokenizer

CHUNKS = (512, 2048)
ANSWER = 1024


class Farthing:
    def __init__(self, folder: Path, threads: int, stack: ExitStack) -> None:
        start = perf_counter()
        self.folder, self.threads, self.stack = folder, threads, stack
        self.runner = NativeRunner(folder, EngineConfig(threads=threads, max_step_tokens=2048))
        self.load_seconds = perf_counter() - start
        self.tokenizer = Tokenizer.open(folder)
        self.best, self.rigs = Best(search=searching()), Rigs(self.runner)
        self.answers = self.rigs.make(sequences=1, length=ANSWER)
        self.rows: dict[Any, Callable[[], float]] = {}
        self.seeds = count()
        self.server: served.Server | None = None

    def about(self) -> dict[str, Any]:
        return {
            "version": "farthing",
            "instructions": self.runner.isa,
            "settings": f"weights as shipped, KV bf16, {self.runner.threads} threads",
            "load_seconds": self.load_seconds,
        }

    def prefill(self, tokens: int, seed: int) -> dict[str, Any]:
        variants = [{"chunk": chunk} for chunk in CHUNKS if chunk <= max(512, tokens)]

        def run(chunk: int) -> float:
            key = ("prefill", tokens, chunk)
            if key not in self.rows:
                self.rows[key] = prefill.measure(self.rigs, tokens, chunk=chunk)
            return self.rows[key]()

        return self.best.run(("prefill", tokens), variants, run)

    def decode(self, batch: int, depth: int, tokens: int, seed: int) -> dict[str, Any]:
        row = decode.Row(batch, depth, tokens)
        if row not in self.rows:
            self.rows[row] = decode.measure(self.rigs, row)
        return self.best.run(row, [{}], self.rows[row])

    def served(self, requests: int, prompt: int, tokens: int) -> dict[str, Any]:
        if self.server is None:
            flags = ("--threads", str(self.threads)) if self.threads else ()
            self.server = self.stack.enter_context(served.running(self.folder, *flags))
            self.served(requests, prompt, tokens)
        report = served.load(
            self.server, streams=requests, prompt=prompt, output=tokens, seed=next(self.seeds)
        )
        assert report.failed == 0, report.first_error
        settings = {
            "prompt tokens": report.prompt_tokens / report.requests,
            "client CPU seconds": report.client_cpu_seconds,
            "seconds": report.seconds,
        }
        return {"rate": report.output_rate, "settings": settings}

    def chat(self, question: str) -> dict[str, Any]:
        return {"ids": self.tokenizer.chat([{"role": "user", "content": question}])}

    def text(self, ids: list[int]) -> dict[str, Any]:
        return {"text": self.tokenizer.decode(ids)}

    def greedy(self, prompt: list[int], tokens: int) -> dict[str, Any]:
        assert len(prompt) + tokens <= ANSWER, "raise ANSWER"
        rig = self.answers
        chosen = rig.prefill(0, np.array(prompt, np.int32), chunk=512).ids
        ids = [int(chosen[0])]
        while len(ids) < tokens and ids[-1] not in self.tokenizer.stop_ids:
            chosen = rig.decode(chosen, len(prompt) + len(ids) - 1).ids
            ids.append(int(chosen[0]))
        return {"ids": ids}


def main() -> None:
    with ExitStack() as stack:
        side = Farthing(Path(sys.argv[1]), int(sys.argv[2]), stack)
        names = ("about", "prefill", "decode", "served", "chat", "text", "greedy")
        serve({name: getattr(side, name) for name in names})


if __name__ == "__main__":
    main()
