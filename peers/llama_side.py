"""llama.cpp's side: its low-level API with whole batches, flash attention on, KV in f16.

As `llama-bench` and `llama-batched-bench` do it: given tokens are fed and nothing is sampled, so
that sampling is not counted against it.
Usage: llama_side.py MODEL.gguf THREADS search|first [as-it-lies] [direct]

as-it-lies does not repack weights when loading; direct reads the file past the page cache, and
keeps it in memory of its own: another side's mapped weights need that cache.
"""

import sys
import time
from typing import Any

import llama_cpp as cpp
import numpy as np
from side import Best, random_tokens, searching, serve

CHUNK = 2048


class Context:
    """One llama_context, its batch, and how many tokens each of its sequences holds."""

    def __init__(self, model: Any, *, tokens: int, sequences: int, **settings: int) -> None:
        params = cpp.llama_context_default_params()
        params.n_ctx = -(-tokens // 256) * 256 * sequences
        params.n_batch = CHUNK
        params.n_ubatch = settings.get("ubatch", 512)
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = settings["threads"]
        params.flash_attn_type = 1
        params.kv_unified = bool(settings.get("unified", False))
        self.context = cpp.llama_init_from_model(model, params)
        assert self.context, "llama.cpp refused the context"
        self.memory = cpp.llama_get_memory(self.context)
        self.batch = cpp.llama_batch_init(CHUNK, 0, 1)
        self.held = [0] * sequences

    def put(self, at: int, token: int, position: int, sequence: int, *, wanted: bool) -> None:
        self.batch.token[at] = token
        self.batch.pos[at] = position
        self.batch.n_seq_id[at] = 1
        self.batch.seq_id[at][0] = sequence
        self.batch.logits[at] = wanted

    def run(self, count: int) -> None:
        self.batch.n_tokens = count
        code = cpp.llama_decode(self.context, self.batch)
        assert code == 0, f"llama_decode gave {code}"

    def feed(self, sequence: int, tokens: list[int]) -> None:
        """Prefill, in batches of CHUNK; the logits of the last token are wanted."""
        for first in range(0, len(tokens), CHUNK):
            part = tokens[first : first + CHUNK]
            for i, token in enumerate(part):
                last = first + i == len(tokens) - 1
                self.put(i, token, self.held[sequence] + i, sequence, wanted=last)
            self.run(len(part))
            self.held[sequence] += len(part)

    def cut(self, sequence: int, depth: int) -> None:
        cpp.llama_memory_seq_rm(self.memory, sequence, depth, -1)
        self.held[sequence] = min(self.held[sequence], depth)

    def wait(self) -> None:
        cpp.llama_synchronize(self.context)


class Llama:
    def __init__(
        self, path: str, threads: int, *, repack: bool = True, direct: bool = False
    ) -> None:
        cpp.llama_backend_init()
        self.log = cpp.llama_log_callback(lambda level, text, data: None)
        cpp.llama_log_set(self.log, None)
        start = time.perf_counter()
        params = cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = repack
        if direct:
            params.load_mode = cpp.LLAMA_LOAD_MODE_DIRECT_IO
        self.form = "weights repacked where it can" if repack else "weights as they lie"
        self.model = cpp.llama_model_load_from_file(path.encode(), params)
        assert self.model, f"llama.cpp could not load {path}"
        self.seconds_to_load = time.perf_counter() - start
        self.vocab = cpp.llama_model_get_vocab(self.model)
        self.vocabulary = cpp.llama_vocab_n_tokens(self.vocab)
        self.threads = threads
        self.contexts: dict[Any, Context] = {}
        self.best = Best(search=searching())

    def context(self, tokens: int, sequences: int, **settings: int) -> Context:
        key = (tokens, sequences, *sorted(settings.items()))
        if key not in self.contexts:
            made = Context(self.model, tokens=tokens, sequences=sequences, **settings)
            self.contexts[key] = made
        return self.contexts[key]

    def about(self) -> dict[str, Any]:
        return {
            "version": f"llama-cpp-python {cpp.__version__}, llama.cpp"
            f" {cpp.llama_version().decode()}",
            "instructions": cpp.llama_print_system_info().decode().strip(),
            "settings": f"flash attention on, KV f16, {self.form}",
            "load_seconds": self.seconds_to_load,
        }

    def prefill(self, tokens: int, seed: int) -> dict[str, Any]:
        prompt = random_tokens(tokens, self.vocabulary, seed)
        ubatches = (512, 256) if tokens <= 512 else (512, 2048)
        variants = [{"ubatch": u, "threads": self.threads} for u in ubatches]
        return self.best.run(("prefill", tokens), variants, lambda **v: self._prefill(prompt, **v))

    def _prefill(self, prompt: list[int], **settings: int) -> float:
        context = self.context(2048, 1, **settings)
        context.cut(0, 0)
        start = time.perf_counter()
        context.feed(0, prompt)
        context.wait()
        return len(prompt) / (time.perf_counter() - start)

    def decode(self, batch: int, depth: int, tokens: int, seed: int) -> dict[str, Any]:
        given = random_tokens(tokens * batch, self.vocabulary, seed)
        # Without a prompt to read, room for a batch will do: a context takes less memory then.
        common = {} if depth else {"ubatch": max(32, batch)}
        if batch == 1:
            variants = [{"threads": n} | common for n in dict.fromkeys((self.threads, 1))]
        else:
            variants = [{"threads": self.threads, "unified": u} | common for u in (0, 1)]
        return self.best.run(
            ("decode", batch, depth),
            variants,
            lambda **v: self._decode(batch, depth, given, **v),
        )

    def _decode(self, batch: int, depth: int, given: list[int], **settings: int) -> float:
        steps = len(given) // batch
        context = self.context(depth + steps, batch, **settings)
        for sequence in range(batch):
            context.cut(sequence, depth)
            short = depth - context.held[sequence]
            if short:
                context.feed(sequence, random_tokens(short, self.vocabulary, sequence))
        context.wait()
        start = time.perf_counter()
        for step in range(steps):
            for i in range(batch):
                context.put(i, given[step * batch + i], depth + step, i, wanted=True)
            context.run(batch)
            context.wait()
        seconds = time.perf_counter() - start
        for sequence in range(batch):
            context.held[sequence] += steps
        return len(given) / seconds

    def greedy(self, prompt: list[int], tokens: int) -> dict[str, Any]:
        context = self.context(1024, 1, threads=self.threads, ubatch=512)
        context.cut(0, 0)
        context.feed(0, prompt)
        ids: list[int] = []
        at = (len(prompt) - 1) % CHUNK
        while len(ids) < tokens:
            ids.append(self._likeliest(context, at))
            if cpp.llama_vocab_is_eog(self.vocab, ids[-1]):
                break
            context.feed(0, [ids[-1]])
            at = 0
        return {"ids": ids}

    def _likeliest(self, context: Context, at: int) -> int:
        logits = cpp.llama_get_logits_ith(context.context, at)
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())


def main() -> None:
    words = sys.argv[4:]
    llama = Llama(
        sys.argv[1],
        int(sys.argv[2]),
        repack="as-it-lies" not in words,
        direct="direct" in words,
    )
    names = ("about", "prefill", "decode", "greedy")
    serve({name: getattr(llama, name) for name in names})


if __name__ == "__main__":
    main()
