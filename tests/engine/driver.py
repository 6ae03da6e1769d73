"""Drives an engine in process: requests in, answers out, `check()` after every step."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from toy_runner import ToyRunner

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.types import Cancel, Finished, Request, Sampling
from farthing.meter.attribution import Clock


class FakeTime:
    """Moves when told to; a look at it does not."""

    def __init__(self):
        self.at = 5

    def __call__(self) -> int:
        return self.at


@dataclass
class Answers:
    """All that an engine has told, and that no request is told of twice."""

    tokens: dict[str, list[int]] = field(default_factory=dict)
    finished: dict[str, Finished] = field(default_factory=dict)
    cached: dict[str, int] = field(default_factory=dict)
    charged: dict[str, list[int]] = field(default_factory=dict)

    def take(self, events):
        for started in events.started:
            assert started.request not in self.cached
            self.cached[started.request] = started.cached_tokens
        for charge in events.charges:
            self.charged.setdefault(charge.request, [0] * 4)[charge.kind] += charge.nanoseconds
        for token in events.tokens:
            assert token.request not in self.finished, "a token after the end"
            self.tokens.setdefault(token.request, []).append(token.id)
        for finished in events.finished:
            assert finished.request not in self.finished, "finished twice"
            self.finished[finished.request] = finished
            charged = self.charged.get(finished.request, [0] * 4)
            assert tuple(charged) == finished.usage.nanoseconds, "charges do not sum to the usage"


def make_engine(runner=None, time=None, **config) -> Engine:
    config = {"max_step_tokens": 256, "max_sequences": 8, **config}
    now = time or FakeTime()
    return Engine(runner or ToyRunner(), EngineConfig(**config), Clock(now, now))


def request(id: str, tokens: Iterable[int], max_tokens: int = 8, **more) -> Request:
    """Greedy unless it says otherwise; names of Sampling's fields go there."""
    sampling = {n: more.pop(n) for n in list(more) if n in Sampling.__struct_fields__}
    sampling.setdefault("temperature", 0.0)
    return Request(
        id=id, tokens=list(tokens), max_tokens=max_tokens, sampling=Sampling(**sampling), **more
    )


def run(
    engine: Engine, requests: Iterable[Request] = (), answers: Answers | None = None
) -> Answers:
    """Until the engine has nothing left to do."""
    answers = answers or Answers()
    for each in requests:
        engine.submit(each)
    for _ in range(100_000):
        if engine.idle:
            return answers
        answers.take(engine.step())
        engine.check()
    raise AssertionError("the engine never came to rest")


def cancel(engine: Engine, id: str, keep: int | None = None) -> None:
    engine.cancel(Cancel(id=id, keep=keep))
