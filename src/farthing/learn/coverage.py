"""How well a tokenizer fits texts, by language: bytes a token, and how many tokens are one byte.

A byte-level tokenizer reads everything, but what it never saw it spells byte by byte: three tokens
for one Chinese character. Nothing would fail; training would only cost three times as much.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.learn.documents import Document
from farthing.tokenizer import Tokenizer

MOST = 0.4
"""Share of spelled tokens above which a tokenizer is refused. On what it was trained on, one of
8,192 tokens has 0.01 to 0.03 and one of 600 up to 0.35; on a language that it never saw, 0.9."""
JUDGED = 1000
"""Tokens of a language, from which on its share is judged."""
HAN = re.compile("[㐀-鿿]")


@dataclass(slots=True)
class Count:
    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    spelled: int = 0

    @property
    def share(self) -> float:
        return self.spelled / max(self.tokens, 1)

    def told(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "tokens": self.tokens,
            "bytes_per_token": round(self.bytes / max(self.tokens, 1), 3),
            "spelled": round(self.share, 4),
        }


@dataclass(slots=True)
class Coverage:
    """Counts by language. `spelled` tokens are one letter, or a part of a character."""

    sizes: NDArray[np.int64]
    """[V] bytes of each token; special ones have none."""

    spells: NDArray[np.bool_]
    """[V] whether it spells: one byte that is a letter, or is no character by itself."""

    counts: dict[str, Count] = field(default_factory=dict)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Coverage":
        pieces = [tokenizer.piece(id) for id in range(tokenizer.vocabulary)]
        spells = [len(p) == 1 and (p.isalpha() or p[0] >= 0x80) for p in pieces]
        return cls(np.array([len(p) for p in pieces], np.int64), np.array(spells))

    @classmethod
    def measured(cls, folder: Path, documents: Iterable[Document]) -> "Coverage":
        """Of a tokenizer's folder, on what documents say."""
        tokenizer = Tokenizer.open(folder)
        made = cls.of(tokenizer)
        for document in documents:
            made.add([language_of(document)], tokenizer.encode_many([document.body]))
        return made

    def add(self, languages: Sequence[str], documents: Sequence[Sequence[int]]) -> None:
        """One language a document."""
        for language in set(languages):
            mine = [
                ids for of, ids in zip(languages, documents, strict=True) if of == language and ids
            ]
            count = self.counts.setdefault(language, Count())
            if not mine:
                continue
            together = np.concatenate([np.asarray(ids, np.int64) for ids in mine])
            count.documents += len(mine)
            count.tokens += len(together)
            count.bytes += int(self.sizes[together].sum())
            count.spelled += int(self.spells[together].sum())

    def check(self, most: float = MOST) -> None:
        """Raises InputError naming the language that the tokenizer does not cover."""
        for language, count in self.counts.items():
            if count.tokens >= JUDGED and count.share > most:
                raise InputError(
                    f"the tokenizer does not cover its data: of {count.tokens} tokens of language"
                    f" {language!r}, {count.share:.0%} spell it byte by byte (at most {most:.0%}"
                    f" is taken; {count.bytes / count.tokens:.2f} bytes a token). Train one on"
                    " this data with `farthing learn tokenizer`, or raise --spelled"
                )

    def told(self) -> dict[str, dict[str, Any]]:
        return {language: count.told() for language, count in sorted(self.counts.items())}


def language_of(document: Document) -> str:
    """What the document says; else whether there is a Chinese character in it."""
    if document.language is not None:
        return document.language
    return "zh" if HAN.search(document.body) else "other"
