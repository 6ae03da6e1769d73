"""The documents of several paths one after the other, and what these paths held, by hash."""

import random
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from farthing.errors import InputError
from farthing.formats.hf import read_object
from farthing.learn import documents
from farthing.learn.card import CARD
from farthing.learn.documents import Document

Tell = Callable[[str, int, int], None]
"""Told what is being done, bytes done, and bytes in all."""

PLAIN = ".txt"
EVERY = 2000
"""Documents between two tellings."""
LINE = 1 << 16
"""Characters of a plain text that make a document at most; a line does, if it is shorter."""


class Sources:
    """Data sets, .jsonl files and .txt files. Raises NotFound if a path holds none."""

    def __init__(self, paths: Sequence[Path], tell: Tell = lambda doing, done, total: None) -> None:
        if not paths:
            raise InputError("no data is given; name a data set (a folder of JSONL), or a file")
        self.paths, self.tell = paths, tell
        self.files = [file for path in paths for file in documents.files(path)]
        self.bytes = sum(file.stat().st_size for file in self.files)

    def __iter__(self) -> Iterator[Document]:
        done = 0
        for file in self.files:
            for number, (size, document) in enumerate(_read(file)):
                done += size
                if number % EVERY == 0:
                    self.tell("reading", done, self.bytes)
                yield document
        self.tell("reading", self.bytes, self.bytes)

    def some(self, most: int, seed: int) -> Iterator[Document]:
        """Drawn from all alike, so that about `most` bytes are read; all, if there are no more."""
        share, draw = most / max(self.bytes, 1), random.Random(seed)
        for document in self:
            if share >= 1 or draw.random() < share:
                yield document

    def about(self) -> list[dict[str, Any]]:
        """Each path: how many documents, its files' hash, and its card if it has one."""
        return [_about(path) for path in self.paths]


def _about(path: Path) -> dict[str, Any]:
    shards = [documents.shard_of(file) for file in documents.files(path)]
    digest = sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()
    count = sum(shard.documents for shard in shards)
    card = read_object(path / CARD) if (path / CARD).is_file() else None
    return {"name": path.name, "documents": count, "sha256": digest, "card": card}


def _read(file: Path) -> Iterator[tuple[int, Document]]:
    """Each document, and the bytes it took."""
    if file.suffix == PLAIN:
        yield from _plain(file)
        return
    for number, line in documents.lines(file):
        yield len(line) + 1, documents.parse(line, f"{file}, line {number}")


def _plain(file: Path) -> Iterator[tuple[int, Document]]:
    try:
        with file.open(encoding="utf-8") as opened:
            while line := opened.readline(LINE):
                if line.strip():
                    yield len(line.encode()), Document(text=line.removesuffix("\n"))
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from None


def contents(found: Iterator[Document]) -> Iterator[str]:
    """What of documents is read: texts, and what messages say."""
    for document in found:
        if document.text is not None:
            yield document.text
        for message in document.messages or ():
            yield message.content
