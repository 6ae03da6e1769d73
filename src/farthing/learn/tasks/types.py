"""A task: a prompt that a program made, whose answer it knows; and the families they come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal
from zlib import crc32

from farthing.learn.documents import Document, Message

Split = Literal["train", "test"]
Language = Literal["en", "zh"]
Fields = Mapping[str, object]
Draw = Callable[[Random], tuple[Fields, str]]
HELD = 12
"""One problem in so many is the test split's alone, where a family reserves problems."""


@dataclass(frozen=True, slots=True)
class Sample:
    kind: str
    language: str
    template: str
    """Its name: of one split alone."""

    prompt: str
    answer: str

    def document(self) -> Document:
        said = Message("user", self.prompt), Message("assistant", self.answer)
        return Document(
            messages=said,
            kind=self.kind,
            language=self.language,
            template=self.template,
            answer=self.answer,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Problems of one shape, each asked by any of its templates (str.format of draw's fields)."""

    kind: str
    language: Language
    name: str
    draw: Draw
    """Fields for a template, and the answer."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    """Templates that never occur in training."""

    reserved: str | None = None
    """A field that names a problem: some are asked in the test split alone."""

    share: int = 1
    """How often it comes, of its kind and language."""

    def sample(self, rng: Random, split: Split) -> Sample:
        fields, answer = self.draw(rng)
        while self.reserved is not None and held(str(fields[self.reserved])) != (split == "test"):
            fields, answer = self.draw(rng)
        templates = self.train if split == "train" else self.test
        place = int(rng.random() * len(templates))
        return Sample(
            self.kind,
            self.language,
            f"{self.kind}/{self.language}/{self.name}/{split}-{place}",
            templates[place].format_map(fields),
            answer,
        )


def held(problem: str) -> bool:
    return crc32(problem.encode()) % HELD == 0


def crossed(around: tuple[str, ...], inner: tuple[str, ...]) -> tuple[str, ...]:
    """Every template of `inner` in place of {text} in every one of `around`."""
    return tuple(outer.replace("{text}", text) for outer in around for text in inner)
