"""No document to train on may give away what a model is later tested with.

A leak is a document made from a template of the test, one that asks a held-out question, or one
that shares a long run of words with a held-out text (13, as GPT-3's, 2005.14165, appendix C).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from farthing.errors import InputError
from farthing.learn import documents, grams, tasks
from farthing.learn.documents import Document
from farthing.learn.grams import Hashes
from farthing.learn.tasks import Family

LEAST, MOST = 5, 50
FIELD = re.compile(r"\{[^{}]*\}")


class Question(msgspec.Struct):
    """A line of a file of questions, as `farthing eval --tasks` reads them."""

    question: str


class Leaks:
    name = "leaks"

    def __init__(self, held_out: Iterable[Document] = (), run: int = 13) -> None:
        """Besides what is held out, the test templates of our own tasks are looked for."""
        if not LEAST <= run <= MOST:
            raise InputError(f"a leak of {run} words; expected {LEAST} to {MOST}")
        self.run = run
        self.templates: set[str] = set()
        self.questions: set[int] = set()
        self.documents = 0
        found = [fragments(run)]
        for document in held_out:
            self.documents += 1
            if document.template is not None:
                self.templates.add(document.template)
            self.questions.update(whole(text) for text in questions(document))
            found.append(grams.grams(grams.hashed(grams.words(document.body)), run))
        self.grams = np.unique(np.concatenate(found))
        self.settings: dict[str, Any] = {"words": run, "held_out_documents": self.documents}

    def __call__(self, document: Document) -> Document | str:
        template = document.template
        if template is not None and (template in self.templates or of_test(template)):
            return "a template of the test"
        if any(whole(text) in self.questions for text in questions(document)):
            return "a held-out question"
        mine = grams.grams(grams.hashed(grams.words(document.body)), self.run)
        if self._holds(mine):
            return f"{self.run} words in a row of what is held out"
        return document

    def _holds(self, mine: Hashes) -> bool:
        if not len(self.grams) or not len(mine):
            return False
        place = np.searchsorted(self.grams, mine)
        place[place == len(self.grams)] = 0
        return bool((self.grams[place] == mine).any())


def read(path: Path) -> Iterator[Document]:
    """Held-out documents, or questions, of a file or folder."""
    for file in documents.files(path):
        for number, line in documents.lines(file):
            yield _question(line) or documents.parse(line, f"{file}, line {number}")


def _question(line: bytes) -> Document | None:
    try:
        return Document(text=msgspec.json.decode(line, type=Question).question)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def questions(document: Document) -> list[str]:
    """What it asks: users' messages; a text asks itself."""
    if document.text is not None:
        return [document.text]
    return [one.content for one in document.messages or () if one.role == "user"]


def whole(text: str) -> int:
    """One number for all words of a text, whatever stands between them."""
    hashes = grams.hashed(grams.words(text))
    return int(grams.grams(hashes, len(hashes))[0]) if len(hashes) else 0


def of_test(template: str) -> bool:
    return template.rpartition("/")[2].startswith("test-")


def fragments(run: int, families: Sequence[Family] = tasks.FAMILIES) -> Hashes:
    """Runs of words that test templates have and no template of the training has."""
    test, train = (
        [_runs(text, run) for family in families for text in getattr(family, split)]
        for split in ("test", "train")
    )
    return np.setdiff1d(np.concatenate([*test, _none()]), np.concatenate([*train, _none()]))


def _runs(template: str, run: int) -> Hashes:
    parts = FIELD.split(template)
    found = [grams.grams(grams.hashed(grams.words(part)), run) for part in parts]
    return np.concatenate([*found, _none()])


def _none() -> Hashes:
    return np.zeros(0, np.uint64)
