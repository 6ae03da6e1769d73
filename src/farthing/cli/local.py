"""A model answering in this process, for the verbs that talk in a terminal. Knows no HTTP.

The engine is stepped by whoever reads the answer, so nothing runs between two answers.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter_ns

from farthing.config import EngineConfig, settings
from farthing.engine.engine import Engine
from farthing.engine.types import Cancel, Finished, Request, Runner, Sampling
from farthing.meter.rate import NANO, MachinePrice, bill, dollars
from farthing.meter.settings import machine_price
from farthing.tokenizer import Tokenizer
from farthing.usage import Usage

UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How one answer is wanted."""

    max_tokens: int = 0
    """0 means as many as fit."""

    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.0))
    stop: Sequence[str] = ()


class Answer:
    """The text of one answer, piece by piece; what it used is known after the last piece."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, request: Request, ask: Ask) -> None:
        self._engine, self._id = engine, request.id
        self._stops = frozenset(request.stop_ids)
        self._text = tokenizer.stream(ask.stop, continues=True)
        self._arrivals: list[int] = []
        self.seed = request.sampling.seed
        self.finished: Finished | None = None
        engine.submit(request)
        engine.clock.end_wait()

    def __iter__(self) -> Iterator[str]:
        while self.finished is None:
            if piece := self._step():
                yield piece
        if piece := self._text.finish():
            yield piece

    def stop(self) -> None:
        """No more of it; what was made so far is used and counted."""
        if self.finished is None:
            self._engine.cancel(Cancel(id=self._id))
            self._step()

    def _step(self) -> str:
        events = self._engine.step()
        ids = [token.id for token in events.tokens if token.id not in self._stops]
        self._arrivals += [perf_counter_ns()] * len(events.tokens)
        piece = self._text.push(ids)
        self.finished = next(iter(events.finished), None)
        if self._text.stopped is not None and self.finished is None:
            self._engine.cancel(Cancel(id=self._id, keep=self._text.kept))
        if self.finished is not None:
            self._engine.clock.begin_wait()
        return piece

    @property
    def usage(self) -> Usage:
        assert self.finished is not None, "the answer has not ended"
        return self.finished.usage

    @property
    def reason(self) -> str:
        """ "stop", "length", or "cancelled" if `stop` ended it."""
        assert self.finished is not None, "the answer has not ended"
        return "stop" if self._text.stopped is not None else self.finished.reason

    @property
    def tokens_per_second(self) -> float:
        """By the wall clock, from the first token to the last; 0 if there were not two."""
        if len(self._arrivals) < 2:
            return 0.0
        wall = self._arrivals[-1] - self._arrivals[0]
        return (len(self._arrivals) - 1) * NANO / wall


class Local:
    """One model, ready to answer one question at a time."""

    def __init__(
        self, tokenizer: Tokenizer, runner: Runner, config: EngineConfig, price: MachinePrice
    ) -> None:
        self.tokenizer = tokenizer
        self.engine = Engine(runner, config)
        self.price = price
        self._ids = count()
        # Between two answers a person reads and types: that is nobody's bill.
        self.engine.clock.begin_wait()

    @classmethod
    def open(cls, folder: Path, config: EngineConfig) -> "Local":
        from farthing.engine.runner import NativeRunner

        price = machine_price(settings(), os.environ)
        return cls(Tokenizer.open(folder), NativeRunner(folder, config), config, price)

    def answer(self, prompt: Sequence[int], ask: Ask) -> Answer:
        """Raises ContextTooLong or InputError before the first step."""
        room = self.engine.max_context - len(prompt)
        request = Request(
            id=f"local-{next(self._ids)}",
            tokens=list(prompt),
            max_tokens=ask.max_tokens or max(1, min(room, UNLIMITED)),
            sampling=ask.sampling,
            stop_ids=self.tokenizer.stop_ids,
        )
        return Answer(self.engine, self.tokenizer, request, ask)

    def nanodollars(self, usage: Usage) -> int:
        return bill(usage.nanoseconds, self.price.hour_nanodollars)[0]

    def line(self, answer: Answer) -> str:
        """Tokens, speed and cost, for a person."""
        usage = answer.usage
        cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
        assumed = " assumed" if self.price == MachinePrice() else ""
        hour = self.price.hour_nanodollars / NANO
        cut = "; cut at --max-tokens" if answer.reason == "length" else ""
        return (
            f"{usage.prompt_tokens} tokens in{cached}, {usage.completion_tokens} out,"
            f" {answer.tokens_per_second:.1f} tokens/s,"
            f" {dollars(self.nanodollars(usage))} at{assumed} {hour:.4f} USD an hour{cut}"
        )
