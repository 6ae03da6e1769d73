"""A text as a row of beats: of each, one wording is told, its slots filled from one cast."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from farthing.learn.documents import Document, Message
from farthing.learn.tasks.fields import pick

Cast = Mapping[str, object]
Beat = tuple[str, ...]
"""Wordings of one sentence or more; an empty one leaves it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    name: str
    cast: Callable[[Random], Cast]
    beats: Sequence[Beat]
    between: str = ""
    """What stands between two sentences: nothing in Chinese, a space in English."""

    share: int = 1
    chat: bool = False
    """Whether its beats are turns, a user's first."""

    def said(self, rng: Random) -> list[str]:
        """Beat for beat, without those that are left out."""
        cast = self.cast(rng)
        said = (pick(rng, beat).format_map(cast) for beat in self.beats)
        return [one for one in said if one]

    def document(self, rng: Random, kind: str, language: str) -> Document:
        text, messages = None, None
        if self.chat:
            said = enumerate(self.said(rng))
            messages = tuple(Message("assistant" if i % 2 else "user", one) for i, one in said)
        else:
            text = self.told(rng)
        template = f"{kind}/{language}/{self.name}"
        return Document(
            text=text, messages=messages, kind=kind, language=language, template=template
        )

    def told(self, rng: Random) -> str:
        text = self.between.join(self.said(rng))
        return text.replace("\n ", "\n").replace(" \n", "\n").strip()


def beat(text: str) -> Beat:
    """A wording a line."""
    return tuple(line.strip() for line in text.strip().splitlines())


def maybe(text: str) -> Beat:
    """Left out as often as not."""
    found = beat(text)
    return found + ("",) * len(found)


def table(keys: tuple[str, ...], text: str) -> list[Cast]:
    """A row a line, cells between bars. A line that begins with a space goes on with its row: with
    the space where the letters are Latin."""
    joined = re.sub(r"(?<=[ -~])\n (?=[ -~])", " ", text).replace("\n ", "")
    rows = [row.split("|") for row in joined.strip().splitlines()]
    return [dict(zip(keys, row, strict=True)) for row in rows]
