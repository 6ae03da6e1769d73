"""A model on the native side: a packed folder, recorded once, replayed step by step.

Knows nothing of requests: only of tokens, pages and rows.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Thread, main_thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import _native, machine, models
from farthing.config import EngineConfig
from farthing.engine import key_fits
from farthing.engine.isa import choose_isa as choose_isa
from farthing.engine.types import Sampled, Step
from farthing.errors import FormatError
from farthing.formats import packed
from farthing.ops.lower import lower
from farthing.ops.products import parameters
from farthing.ops.record import Recording
from farthing.ops.work import OpWork, Work

PAGE = 64
MAPPED_AT_ONCE = 64 << 20


def map_ahead(weights: NDArray[np.uint8], available: int) -> Thread | None:
    """Maps a file's pages in the background, if memory holds them all: else each first touch of a
    page would interrupt a step. None if it does not hold them; experts then come as they are used.

    Stops where the program ends. A daemon would not do: it is ended inside the native call, which
    ends the process by abort.
    """
    if weights.nbytes >= available:
        return None

    def populate() -> None:
        for at in range(0, weights.nbytes, MAPPED_AT_ONCE):
            if not main_thread().is_alive():
                return
            _native.populate(weights[at : at + MAPPED_AT_ONCE])

    thread = Thread(target=populate)
    thread.start()
    return thread


class NativeRunner:
    """engine/types.py's Runner, of a model packed in a folder.

    With `trace`, `routes` tells which experts tokens go to. Raises FormatError for a model that no
    kernel runs, or whose cache has no room for one page.
    """

    def __init__(self, folder: Path, config: EngineConfig, *, trace: bool = False) -> None:
        checkpoint = packed.open(folder)
        weights = checkpoint.tensors
        model = models.load(checkpoint.config, weights)
        shape = model.shape
        self.vocabulary = shape.vocabulary
        self.max_context = min(config.max_context or shape.max_context, shape.max_context)
        self.max_step_tokens = config.max_step_tokens
        self.isa = choose_isa()
        threads = config.threads or machine.cores().usable
        self.program = _native.Program(self.isa, threads, config.max_step_tokens, self.max_context)
        recording = Recording(shape.layers)
        model.forward(recording, recording)
        routers = [note.out for note in recording.notes if note.name == "route"]
        try:
            fits = key_fits.read(folder, recording) if config.kv_bits == 4 else {}
            lower(recording, self.program, taps=routers if trace else [], fits=fits)
            self.program.finish(config.cache_bytes, config.kv_bits)
        except ValueError as error:
            raise FormatError(f"{folder}: {error}") from error
        self.threads: int = self.program.threads
        self.page_bytes: int = self.program.page_bytes
        self.pages: int = self.program.pages
        self.parameters = parameters(recording)
        self.top_ks = [symbol.width // 2 for symbol in routers]
        self._work = Work(recording, config.kv_bits)
        self.mapping = map_ahead(checkpoint.mapped, machine.memory().available)

    def run(self, step: Step) -> Sampled:
        s, rows = step.sampling, len(step.rows)
        top = max(0, int(s.logprobs.max(initial=0)))
        out = Sampled(
            ids=np.empty(rows, np.int32),
            logprobs=np.empty(rows, np.float32),
            top_ids=np.empty((rows, top), np.int32),
            top_logprobs=np.empty((rows, top), np.float32),
        )
        self.program.step(
            *self._where(step),
            s.temperature,
            s.top_k,
            s.top_p,
            s.min_p,
            s.repetition,
            s.presence,
            s.frequency,
            s.seed,
            s.choice,
            s.position,
            s.logprobs,
            s.first,
            s.ids,
            s.bias,
            s.counts,
            s.seen,
            out.ids,
            out.logprobs,
            out.top_ids,
            out.top_logprobs,
        )
        return out

    def logits(self, step: Step) -> NDArray[np.float32]:
        """[R, V] of the step's rows, before any sampling. For evaluation and tests."""
        out = np.empty((len(step.rows), self.vocabulary), np.float32)
        self.program.logits_of(
            *self._where(step),
            out,
        )
        return out

    def routes(self, step: Step) -> NDArray[np.int32]:
        """[layers with experts, T, k] experts of each token, ascending; the step runs as others do.

        Only of a runner that was made with `trace`, of a model with experts.
        """
        top_k = max(self.top_ks)
        out = np.empty((len(self.top_ks), len(step.tokens), 2 * top_k), np.float32)
        self.program.tap_rows(*self._where(step), out)
        return np.ascontiguousarray(out[:, :, :top_k]).view(np.int32)

    def send(self, routes: NDArray[np.int32] | None) -> None:
        """[layers with experts, T, k], as `routes` gives them: where the steps after this go.

        For measurements; every step must then have T tokens. None lets the routers choose again.
        """
        self.program.send(None if routes is None else np.ascontiguousarray(routes, np.int32))

    def spent(self) -> dict[str, int]:
        """Nanoseconds of one thread in ops of each kind since the last call; the first begins."""
        return self.program.spent()

    def _where(self, step: Step) -> tuple[Any, ...]:
        """What the native side asks of every step, in its order."""
        where = (step.tokens, step.starts, step.positions, step.tables, step.fresh, step.rows)
        return (*where, self.vocabulary)

    def work(self, step: Step) -> NDArray[np.float64]:
        return self._work.shares(step.starts, step.positions, step.rows)

    def work_of(self, tokens: Sequence[int], contexts: Sequence[int], rows: int) -> list[OpWork]:
        """The work of every op of a step: see ops/work.py."""
        return self._work.of(tokens, contexts, rows)
