"""A packed model in this process that answers tasks, many sequences at once."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.limits import MAX_WAITING
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Cancel, Events, Request, Sampling
from farthing.evaluate.tasks.branches import likelihoods, most_tokens
from farthing.evaluate.tasks.types import Ids, Likelihood, Pair, Sample, Written
from farthing.tokenizer import TextStream, Tokenizer

ROUNDS = 16
"""Steps between two reports of how far it is."""


def open(folder: Path, config: EngineConfig) -> "Native":
    """Raises NotFound or FormatError."""
    return Native(NativeRunner(folder, config), Tokenizer.open(folder), config)


class Native:
    """types.Answers. Nobody else may use its runner meanwhile: it takes all pages in turn."""

    def __init__(self, runner: NativeRunner, tokenizer: Tokenizer, config: EngineConfig) -> None:
        self.runner, self.tokenizer, self.config = runner, tokenizer, config
        self.max_context = most_tokens(runner)

    def loglikelihoods(
        self, pairs: Sequence[Pair], told: Callable[[int], None]
    ) -> list[Likelihood]:
        return likelihoods(self.runner, pairs, told)

    def generate(
        self, prompts: Sequence[Ids], sample: Sample, told: Callable[[int], None]
    ) -> list[Written]:
        found: list[Written] = []
        for begin in range(0, len(prompts), MAX_WAITING):
            # A new engine begins with no pages taken: log-likelihoods write over what one held.
            writing = Writing(Engine(self.runner, self.config), self.tokenizer, sample)
            part = prompts[begin : begin + MAX_WAITING]
            found += writing.all(part, partial(_after, begin, told))
        return found


class Writing:
    """Texts under way on one engine."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, sample: Sample) -> None:
        self.engine, self.tokenizer, self.sample = engine, tokenizer, sample
        self.texts: dict[str, TextStream] = {}
        self.pieces: dict[str, list[str]] = {}
        self.made: dict[str, int] = {}
        self.stops = frozenset(tokenizer.stop_ids)

    def all(self, prompts: Sequence[Ids], told: Callable[[int], None]) -> list[Written]:
        for index, prompt in enumerate(prompts):
            self._submit(str(index), prompt)
        rounds = done = 0
        while not self.engine.idle:
            done += self._take(self.engine.step())
            rounds += 1
            if rounds % ROUNDS == 0:
                told(done)
        told(len(prompts))
        return [self._written(str(index)) for index in range(len(prompts))]

    def _submit(self, id: str, prompt: Ids) -> None:
        sample = self.sample
        self.engine.submit(
            Request(
                id=id,
                tokens=list(prompt),
                max_tokens=sample.max_tokens,
                sampling=Sampling(
                    temperature=sample.temperature, seed=sample.seed, choice=sample.choice
                ),
                stop_ids=self.tokenizer.stop_ids,
            )
        )
        self.texts[id] = self.tokenizer.stream(sample.stop, continues=True)
        self.pieces[id] = []
        self.made[id] = 0

    def _take(self, events: Events) -> int:
        """How many texts ended."""
        for token in events.tokens:
            self.made[token.request] += 1
            text = self.texts[token.request]
            if token.id in self.stops or text.stopped is not None:
                continue
            self.pieces[token.request].append(text.push([token.id]))
            if text.stopped is not None:
                self.engine.cancel(Cancel(id=token.request, keep=text.kept))
        return len(events.finished)

    def _written(self, id: str) -> Written:
        return Written("".join(self.pieces[id]) + self.texts[id].finish(), self.made[id])


def _after(before: int, told: Callable[[int], None], done: int) -> None:
    told(before + done)
