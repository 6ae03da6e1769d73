"""Multiple choice: the answer to a question is the choice that the model finds likeliest."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from time import perf_counter

import msgspec

from farthing.errors import InputError
from farthing.evaluate.tasks import asking, lines
from farthing.evaluate.tasks.share import share
from farthing.evaluate.tasks.types import Likelihood, Likelihoods, Pair, Score, Told, counted

KEYS = {"question", "choices", "answer"}
MOST_CHOICES = 1000


class Item(msgspec.Struct, frozen=True):
    question: str
    choices: list[str]
    answer: int
    """Which of the choices is right."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """types.Task. `form` says how a question is put; {question} stands for it."""

    name: str
    items: Sequence[Item]
    chat: bool = False
    form: str = asking.PLAIN

    def scores(self, model: Likelihoods, told: Told) -> list[Score]:
        """Two: by the likelihood of a choice, and by that over its bytes in UTF-8."""
        pairs = [pair for item in self.items for pair in self._pairs(model, item)]
        began = perf_counter()
        found = iter(model.loglikelihoods(pairs, counted(told, self.name, len(pairs))))
        seconds = perf_counter() - began
        each = [[next(found) for _ in item.choices] for item in self.items]
        score = partial(self._score, tokens=sum(map(_tokens, pairs)), seconds=seconds)
        return [
            score("likelihood", [_plain(sums) for sums in each]),
            score("likelihood a byte", list(map(_by_bytes, each, self.items))),
        ]

    def _pairs(self, model: Likelihoods, item: Item) -> Iterator[Pair]:
        text = asking.put(item.question, self.form)
        for choice in item.choices:
            yield asking.pair(model.tokenizer, text, choice, chat=self.chat)

    def _score(self, metric: str, chosen: list[int], tokens: int, seconds: float) -> Score:
        right = [float(one == item.answer) for one, item in zip(chosen, self.items, strict=True)]
        return Score(
            task=self.name,
            metric=metric,
            share=share(right),
            chance=fmean(1 / len(item.choices) for item in self.items),
            count=len(right),
            items=right,
            tokens_in=tokens,
            tokens_out=0,
            seconds=seconds,
            sha256=asking.digest(msgspec.to_builtins(self.items), self.chat, self.form),
        )


def read(path: Path, *, chat: bool = False, form: str | None = None) -> Choice:
    """JSONL of {"question", "choices", "answer"}: the answer is an index from 0, or the choice
    itself. Raises NotFound, or InputError naming the line."""
    items = [_item(found, where) for where, found in lines.objects(path, KEYS)]
    return Choice(name=path.stem, items=items, chat=chat, form=asking.form(form, chat=chat))


def _item(found: lines.Object, where: str) -> Item:
    question = lines.text(found, "question", where)
    choices = found.get("choices")
    if not isinstance(choices, list) or not 2 <= len(choices) <= MOST_CHOICES:
        raise InputError(f"{where}: choices must be a list of 2 to {MOST_CHOICES} texts")
    held = [lines.text({"a choice": choice}, "a choice", where) for choice in choices]
    if len(set(held)) < len(held):
        raise InputError(f"{where}: a choice stands there twice; each must be another")
    return Item(question, held, _answer(found.get("answer"), held, where))


def _answer(given: object, choices: list[str], where: str) -> int:
    if isinstance(given, str) and given in choices:
        return choices.index(given)
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(choices):
        return given
    raise InputError(
        f"{where}: answer is {given!r:.60}; it must be one of the choices, or its index from 0 to"
        f" {len(choices) - 1}"
    )


def _plain(found: Sequence[Likelihood]) -> int:
    return max(range(len(found)), key=lambda i: found[i].sum)


def _by_bytes(found: Sequence[Likelihood], item: Item) -> int:
    return max(range(len(found)), key=lambda i: found[i].sum / len(item.choices[i].encode()))


def _tokens(pair: Pair) -> int:
    return len(pair.context) + len(pair.continuation)
