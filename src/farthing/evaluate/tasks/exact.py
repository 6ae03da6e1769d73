"""Exact match: the model writes an answer, which must be the expected one."""

import re
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import msgspec

from farthing.errors import InputError
from farthing.evaluate.tasks import asking, lines
from farthing.evaluate.tasks.share import share
from farthing.evaluate.tasks.types import Answers, Sample, Score, Told, counted

KEYS = {"question", "prompt", "answer"}
SPARE = 8
"""Tokens beyond the longest answer: its end, and what is spelled in more."""


class Item(msgspec.Struct, frozen=True):
    text: str
    """What the model goes on with, or is asked in a chat."""
    answer: str


class Exact(msgspec.Struct, frozen=True, kw_only=True):
    """types.Task. Answers are greedy, and end at a newline unless the model chats."""

    name: str
    items: Sequence[Item]
    chat: bool = False
    extract: str | None = None
    """A pattern to find in what is written: its first group is compared, or all of it."""
    max_tokens: int = 32
    """Of an answer, unless the longest that is expected needs more."""

    def scores(self, model: Answers, told: Told) -> list[Score]:
        prompts = [asking.prompt(model.tokenizer, i.text, chat=self.chat) for i in self.items]
        sample = Sample(max_tokens=self.room(model), stop=() if self.chat else ("\n",))
        began = perf_counter()
        written = model.generate(prompts, sample, counted(told, self.name, len(prompts)))
        seconds = perf_counter() - began
        right = [
            float(self.found(one.text) == item.answer.strip())
            for one, item in zip(written, self.items, strict=True)
        ]
        asked = msgspec.to_builtins(self.items), self.chat, self.extract, self.max_tokens
        score = Score(
            task=self.name,
            metric="exact match",
            share=share(right),
            chance=0.0,
            count=len(right),
            items=right,
            tokens_in=sum(map(len, prompts)),
            tokens_out=sum(one.tokens for one in written),
            seconds=seconds,
            sha256=asking.digest(asked),
        )
        return [score]

    def room(self, model: Answers) -> int:
        """Tokens that are enough for any answer expected, its end included."""
        longest = max((item.answer for item in self.items), key=len)
        needed = len(model.tokenizer.encode(longest))
        return self.max_tokens if needed < self.max_tokens else needed + SPARE

    def found(self, text: str) -> str | None:
        """The answer in what was written; None if the pattern is not in it."""
        if self.extract is None:
            return text.strip()
        match = re.search(self.extract, text)
        if match is None:
            return None
        return (match[1] if match.re.groups else match[0] or "").strip()


def read(
    path: Path,
    *,
    chat: bool = False,
    form: str | None = None,
    extract: str | None = None,
    max_tokens: int = 32,
) -> Exact:
    """JSONL of {"question", "answer"}, or of {"prompt", "answer"} where the text is to be gone on
    with just as it stands. Raises NotFound, or InputError naming the line."""
    try:
        re.compile(extract or "")
    except re.error as error:
        raise InputError(f"the pattern {extract!r:.60} is none: {error}") from None
    chosen = asking.form(form, chat=chat)
    items = [_item(found, where, chosen) for where, found in lines.objects(path, KEYS)]
    return Exact(name=path.stem, items=items, chat=chat, extract=extract, max_tokens=max_tokens)


def _item(found: lines.Object, where: str, form: str) -> Item:
    if ("question" in found) == ("prompt" in found):
        raise InputError(f'{where}: either a "question" or a "prompt" was expected')
    answer = lines.text(found, "answer", where)
    if "prompt" in found:
        return Item(lines.text(found, "prompt", where), answer)
    return Item(asking.put(lines.text(found, "question", where), form), answer)
