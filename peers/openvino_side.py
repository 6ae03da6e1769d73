"""OpenVINO GenAI's side: it reads the GGUF itself; one stream by LLMPipeline, many by continuous
batching. KV cache u8 and dynamic int8 activations, which are its defaults on a CPU.

Usage: openvino_side.py MODEL.gguf THREADS search|first
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import openvino_genai as genai
from side import Best, random_tokens, searching, serve

CACHE_GB = 1


def tensor(tokens: list[int]) -> Any:
    return openvino.Tensor(np.array([tokens], np.int64))


def asked(tokens: int) -> Any:
    config = genai.GenerationConfig()
    config.max_new_tokens = tokens
    config.ignore_eos = True
    config.do_sample = False
    return config


class OpenVino:
    def __init__(self, path: str, threads: int) -> None:
        self.path, self.threads = path, threads
        self.best = Best(search=searching())
        self.pipelines: dict[Any, Any] = {}
        self.vocabulary = 49152
        self.requests = 0

    def about(self) -> dict[str, Any]:
        start = time.perf_counter()
        self.stream(attention="PA")
        device = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return {
            "version": f"openvino-genai {genai.__version__}",
            "instructions": f"{device}: {' '.join(able)} (chosen at run time)",
            "settings": "KV u8, dynamic quantization, hint LATENCY",
            "load_seconds": time.perf_counter() - start,
        }

    def stream(self, *, attention: str) -> Any:
        def make() -> Any:
            return genai.LLMPipeline(
                self.path, "CPU", ATTENTION_BACKEND=attention, PERFORMANCE_HINT="LATENCY",
                INFERENCE_NUM_THREADS=self.threads,
            )  # fmt: skip

        return self._kept(attention, make)

    def batches(self, *, chunk: int) -> Any:
        """Continuous batching with `chunk` tokens a step at most."""

        def make() -> Any:
            scheduler = genai.SchedulerConfig()
            scheduler.max_num_batched_tokens = chunk
            scheduler.max_num_seqs = 64
            scheduler.cache_size = CACHE_GB
            properties = {"INFERENCE_NUM_THREADS": self.threads}
            return genai.ContinuousBatchingPipeline(self.path, scheduler, "CPU", properties)

        return self._kept(chunk, make)

    def _kept(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self.pipelines:
            self.pipelines[key] = make()
        return self.pipelines[key]

    def generate(self, attention: str, prompt: list[int], tokens: int) -> Any:
        mask = openvino.Tensor(np.ones((1, len(prompt)), np.int64))
        given = genai.TokenizedInputs(tensor(prompt), mask)
        return self.stream(attention=attention).generate(given, asked(tokens)).perf_metrics

    def prompt(self, tokens: int) -> list[int]:
        """Never the same twice: it keeps the prefixes it has seen."""
        self.requests += 1
        return random_tokens(tokens, self.vocabulary, self.requests)

    def prefill(self, tokens: int, seed: int) -> dict[str, Any]:
        variants = [{"attention": backend} for backend in ("PA", "SDPA")]
        return self.best.run(
            ("prefill", tokens), variants, lambda attention: self._prefill(attention, tokens)
        )

    def _prefill(self, attention: str, tokens: int) -> float:
        metrics = self.generate(attention, self.prompt(tokens), 1)
        return tokens / (metrics.get_ttft().mean / 1e3)

    def decode(self, batch: int, depth: int, tokens: int, seed: int) -> dict[str, Any]:
        if batch > 1:
            rate = self._decode_many(batch, depth, tokens)
            return {"rate": rate, "settings": {"continuous batching": batch}}
        variants = [{"attention": backend} for backend in ("PA", "SDPA")]
        return self.best.run(
            ("decode", depth), variants, lambda attention: self._decode(attention, depth, tokens)
        )

    def _decode(self, attention: str, depth: int, tokens: int) -> float:
        # The first token is the prefill's; an empty prompt there is none.
        metrics = self.generate(attention, self.prompt(max(1, depth)), tokens + 1)
        return 1e3 / metrics.get_tpot().mean

    def _decode_many(self, batch: int, depth: int, tokens: int) -> float:
        """One step takes all prompts; the steps after it are timed."""
        pipeline = self.batches(chunk=8192)
        self._add(pipeline, batch, depth, tokens + 1)
        pipeline.step()
        start = time.perf_counter()
        while pipeline.has_non_finished_requests():
            pipeline.step()
        return batch * tokens / (time.perf_counter() - start)

    def served(self, requests: int, prompt: int, tokens: int) -> dict[str, Any]:
        """Wall time of `requests` prompts that arrive together, to the last token: tokens out/s."""
        variants = [{"chunk": chunk} for chunk in (512, 256, 2048)]
        return self.best.run(
            "served", variants, lambda chunk: self._served(chunk, requests, prompt, tokens)
        )

    def _served(self, chunk: int, requests: int, prompt: int, tokens: int) -> float:
        pipeline = self.batches(chunk=chunk)
        start = time.perf_counter()
        self._add(pipeline, requests, prompt, tokens)
        while pipeline.has_non_finished_requests():
            pipeline.step()
        return requests * tokens / (time.perf_counter() - start)

    def _add(self, pipeline: Any, count: int, prompt: int, tokens: int) -> None:
        # The handles must live as long as their requests, or they count as dropped.
        self.handles = []
        for _ in range(count):
            given = tensor(self.prompt(prompt))
            self.handles.append(pipeline.add_request(self.requests, given, asked(tokens)))


def main() -> None:
    side = OpenVino(sys.argv[1], int(sys.argv[2]))
    names = ("about", "prefill", "decode", "served")
    serve({name: getattr(side, name) for name in names})


if __name__ == "__main__":
    main()
