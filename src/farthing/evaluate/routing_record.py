"""Runs texts through a model and keeps where its routers sent every token. Knows no text."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

from farthing.engine.types import RowSampling, Step
from farthing.evaluate.routing import Ids, Trace

PAGE = 64


class Routes(Protocol):
    """A runner that tells its routing: NativeRunner with trace=True."""

    max_step_tokens: int
    pages: int

    def routes(self, step: Step) -> Ids:
        """Runs the step. [L, T, k] ids of experts, ascending for each token."""
        ...


def record(
    runner: Routes,
    prompts: Iterable[Sequence[int]],
    *,
    experts: int,
    layers: tuple[int, ...],
    tokens: int,
    told: Callable[[int], None] = lambda done: None,
) -> Trace:
    """The routing of the first `tokens` tokens of these prompts, each begun anew.

    A prompt must fit into the runner's pages and context. `told` hears how many tokens are done.
    """
    parts: list[Ids] = []
    done = 0
    for prompt in prompts:
        ids = np.array(prompt[: tokens - done], np.int32)
        for begin in range(0, len(ids), runner.max_step_tokens):
            chunk = ids[begin : begin + runner.max_step_tokens]
            parts.append(np.array(runner.routes(_step(chunk, begin)), np.int32))
            assert parts[-1].shape[:2] == (len(layers), len(chunk)), "a route for every token"
            done += len(chunk)
            told(done)
    assert parts, "no tokens to run"
    return Trace(ids=np.concatenate(parts, axis=1), experts=experts, layers=layers)


def _step(tokens: Ids, begin: int) -> Step:
    """One chunk of one sequence, on the first pages of the pool; nobody asks for a next token."""
    end = begin + len(tokens)
    had, needed = -(-begin // PAGE), -(-end // PAGE)
    return Step(
        tokens=tokens,
        starts=np.array([0, len(tokens)], np.int32),
        positions=np.array([begin], np.int32),
        tables=np.arange(needed, dtype=np.int32)[None],
        fresh=np.arange(had, needed, dtype=np.int32),
        rows=np.empty(0, np.int32),
        sampling=_nothing(),
    )


def _nothing() -> RowSampling:
    floats, ints = np.empty(0, np.float32), np.empty(0, np.int32)
    return RowSampling(
        temperature=floats,
        top_k=ints,
        top_p=floats,
        min_p=floats,
        repetition=floats,
        presence=floats,
        frequency=floats,
        seed=np.empty(0, np.uint64),
        choice=np.empty(0, np.uint32),
        position=ints,
        logprobs=ints,
        first=np.zeros(1, np.int32),
        ids=ints,
        bias=floats,
        counts=ints,
        seen=np.empty(0, np.uint8),
    )
