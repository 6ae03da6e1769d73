"""What a task asks of a model, and what it gives back: likelihoods, texts, scores."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from farthing.formats.quality import Interval
from farthing.tokenizer import Tokenizer

Ids = Sequence[int]
Told = Callable[[str, int, int], None]
"""Hears (what is being done, how much of it is done, of how much)."""


def counted(told: Told, what: str, total: int) -> Callable[[int], None]:
    """Tells what is done of one thing, of which there are `total`."""
    return lambda done: told(what, done, total)


class Pair(NamedTuple):
    """A continuation whose likelihood after a context is asked. Neither may be empty."""

    context: Ids
    continuation: Ids


class Likelihood(NamedTuple):
    """The log-probability of a continuation in nats, and whether every token is the likeliest."""

    sum: float
    greedy: bool


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """How texts are wanted. A temperature of 0 takes the likeliest token."""

    max_tokens: int
    stop: tuple[str, ...] = ()
    """The text ends before the first of them."""
    temperature: float = 0.0
    seed: int = 0
    choice: int = 0
    """Which of several answers to one prompt this is: each has noise of its own."""


class Written(NamedTuple):
    text: str
    tokens: int
    """That were made for it, those of a stop string counted."""


class Likelihoods(Protocol):
    """A model that tells how likely texts are."""

    tokenizer: Tokenizer
    max_context: int
    """Most tokens of a context and its continuation together, the last not counted: nothing
    follows it."""

    def loglikelihoods(
        self, pairs: Sequence[Pair], told: Callable[[int], None]
    ) -> list[Likelihood]:
        """One for each pair, in their order; `told` hears how many are done. ContextTooLong."""
        ...


class Answers(Likelihoods, Protocol):
    """A model that also writes."""

    def generate(
        self, prompts: Sequence[Ids], sample: Sample, told: Callable[[int], None]
    ) -> list[Written]:
        """One text for each prompt, in their order, without the prompt. ContextTooLong."""
        ...


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How well a model did at one task, by one way of counting."""

    task: str
    """A name: a file's, or "HumanEval"."""
    metric: str
    """"likelihood", "likelihood a byte", "exact match", "pass@1" ..."""
    share: Interval
    """Of the items done right, 0 to 1, and the ends of its 95 % interval."""
    chance: float
    """The share that guessing gets."""
    count: int
    """Items."""
    items: list[float]
    """[count] 1 for right, 0 for wrong; between them where an item was tried several times."""
    notes: dict[str, int] = {}
    """What else there is to count: {"timed out": 3, "refused": 0}."""
    tokens_in: int
    tokens_out: int
    seconds: float
    """The model's, by the wall clock; time spent on running programs is not in it."""
    nanodollars: int | None = None
    """The machine's price for these seconds, where an hour's is known."""
    sha256: str
    """Of what was asked, as bytes: two scores may be compared if theirs are equal."""


class Task(Protocol):
    @property
    def name(self) -> str: ...

    def scores(self, model: Answers, told: Told) -> list[Score]:
        """One for each way of counting."""
        ...
