"""The fp32 reference that answers tasks: the model's page on NumPy, many sequences in a step."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from farthing.errors import ContextTooLong, InputError
from farthing.evaluate import readings
from farthing.evaluate.tasks.branches import Branch, branched, must_fit
from farthing.evaluate.tasks.runs import Logits, Run
from farthing.evaluate.tasks.types import Ids, Likelihood, Pair, Sample, Written
from farthing.ops.reference_cache import Cache, Step
from farthing.tokenizer import TextStream, Tokenizer

STEP = 512
"""Tokens of a step that reads."""
TOGETHER = 32
"""Texts written at once."""

Piece = tuple[int, int, list[int]]
"""A sequence, the position of its first token here, tokens."""


class Page:
    """types.Answers over readings.Reference. It writes greedily alone."""

    def __init__(self, reading: readings.Reference, tokenizer: Tokenizer) -> None:
        self.reading, self.tokenizer = reading, tokenizer
        self.max_context = reading.shape.max_context

    def loglikelihoods(
        self, pairs: Sequence[Pair], told: Callable[[int], None]
    ) -> list[Likelihood]:
        must_fit(pairs, self.max_context)
        found: dict[int, Likelihood] = {}
        for branches in _steps(branched(pairs)):
            for branch, run in zip(branches, self._read(branches), strict=True):
                found.update(zip(branch.places, run.results(), strict=True))
            told(len(found))
        return [found[place] for place in range(len(pairs))]

    def generate(
        self, prompts: Sequence[Ids], sample: Sample, told: Callable[[int], None]
    ) -> list[Written]:
        greedy_alone(sample)
        for prompt in prompts:
            if len(prompt) >= self.max_context:
                raise ContextTooLong(len(prompt), self.max_context - 1)
        found: list[Written] = []
        for begin in range(0, len(prompts), TOGETHER):
            found += self._write(prompts[begin : begin + TOGETHER], sample)
            told(len(found))
        return found

    def _read(self, branches: Sequence[Branch]) -> list[Run]:
        runs = [branch.run([], shared=0) for branch in branches]
        pieces = [(i, 0, run.tokens.tolist()) for i, run in enumerate(runs)]
        starts = np.cumsum([0, *(len(run.tokens) for run in runs)]).tolist()
        rows = [
            at
            for run, start in zip(runs, starts, strict=False)
            for at in range(start + run.first, start + len(run.tokens))
        ]
        logits = self._logits(pieces, rows, Cache.empty(self.reading.shape.layers))
        at = 0
        for run in runs:
            wanted = len(run.tokens) - run.first
            run.take(logits[at : at + wanted], 0)
            at += wanted
        return runs

    def _write(self, prompts: Sequence[Ids], sample: Sample) -> list[Written]:
        cache = Cache.empty(self.reading.shape.layers)
        texts = [Text(self.tokenizer, sample, self.max_context - len(p)) for p in prompts]
        pieces: list[Piece] = [(i, 0, list(prompt)) for i, prompt in enumerate(prompts)]
        while pieces:
            rows = np.cumsum([len(tokens) for _, _, tokens in pieces]) - 1
            logits = self._logits(pieces, rows.tolist(), cache)
            pieces = [
                (which, position + len(tokens), [token])
                for (which, position, tokens), token in zip(
                    pieces, logits.argmax(-1).tolist(), strict=True
                )
                if texts[which].push(token)
            ]
        return [text.written() for text in texts]

    def _logits(self, pieces: Sequence[Piece], rows: Sequence[int], cache: Cache) -> Logits:
        step = Step.of(pieces, rows=rows)
        return np.asarray(self.reading.model.forward(step, cache), np.float32)


class Text:
    """One text as it is written, token by token."""

    def __init__(self, tokenizer: Tokenizer, sample: Sample, room: int) -> None:
        self.stream: TextStream = tokenizer.stream(sample.stop, continues=True)
        self.stops = frozenset(tokenizer.stop_ids)
        self.left = min(sample.max_tokens, room)
        self.pieces: list[str] = []
        self.tokens = 0

    def push(self, token: int) -> bool:
        """Whether it goes on after this token."""
        self.tokens += 1
        if token in self.stops:
            return False
        self.pieces.append(self.stream.push([token]))
        return self.stream.stopped is None and self.tokens < self.left

    def written(self) -> Written:
        return Written("".join(self.pieces) + self.stream.finish(), self.tokens)


def greedy_alone(sample: Sample) -> None:
    """Raises InputError for a sample that is drawn."""
    if sample.temperature:
        raise InputError(
            f"the reference writes greedily alone, and temperature is {sample.temperature};"
            " drop it, or sample from a packed model"
        )


def _steps(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """One at least, and no more than fill a step."""
    step: list[Branch] = []
    tokens = 0
    for branch in branches:
        if step and tokens + branch.length > STEP:
            yield step
            step, tokens = [], 0
        step.append(branch)
        tokens += branch.length
    if step:
        yield step
