"""Data sets through filters into a new one, which says on its card what was dropped and why."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from farthing.errors import InputError
from farthing.learn import card, documents, grams
from farthing.learn.card import Card, Dropped, Parent, Tally
from farthing.learn.documents import Document, Shard
from farthing.learn.filters import Filter, changed
from farthing.learn.minhash import Near, Signature, of_shingles, signature

EXAMPLES = 5
MADE_BY = "farthing learn data filter"

Tell = Callable[[str, int, int], None]
"""Told what is being done, how many bytes of it, and of how many."""


@dataclass
class Count:
    """What one filter did."""

    name: str
    settings: dict[str, Any]
    why: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    changed: int = 0

    def drop(self, document: Document, why: str) -> None:
        self.why[why] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{document.id or 'a document'}: {document.written[:60]!r}, {why}")

    def told(self) -> Dropped:
        return Dropped(
            filter=self.name,
            documents=self.why.total(),
            why=dict(self.why.most_common()),
            examples=self.examples,
            changed=self.changed,
            settings=self.settings,
        )


@dataclass(frozen=True, kw_only=True)
class Filtering:
    sources: Sequence[Path]
    output: Path
    filters: Sequence[Filter]
    near: Near | None = None
    """Where near-duplicates are dropped: the first of them, in the sources' order, stays."""

    as_text: bool = False
    """Write what the teacher wrote as plain texts, without the questions."""

    as_parquet: bool = False
    licence: str | None = None
    made_by: str = MADE_BY
    """The command, for the card."""

    def run(self, tell: Tell = lambda doing, done, total: None) -> Card:
        """Raises InputError if nothing is left, and as documents.read and write do."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        counts = [Count(one.name, one.settings) for one in self.filters]
        twice = Count("duplicates", {"threshold": self.near.threshold if self.near else None})
        reader, tally = Reader(self.sources, tell), Tally()
        made: list[Card] = []

        def finish(draft: Path, shards: list[Shard]) -> None:
            told = [one.told() for one in (*counts, *([twice] if self.near else []))]
            parents = reader.parents()
            found = tally.card(
                name=self.output.name,
                made_by=self.made_by,
                files=shards,
                licence=self.licence or _common([_of(one, "licence") for one in parents]),
                teacher=_common([_of(one, "teacher") for one in parents]),
                filters=told,
                parents=parents,
                settings={"read": reader.documents, "as_text": self.as_text},
            )
            card.write(draft, found)
            made.append(found)

        with tempfile.TemporaryFile(dir=self.output.parent) as spool:
            kept = self._passed(reader, counts)
            if self.near is not None:
                kept = self._different(kept, self.near, twice, spool, tell)
            kept = self._some(kept, reader, [*counts, twice])
            written = tally.over(self._written(one) for one in kept)
            documents.write(self.output, written, finish, as_parquet=self.as_parquet)
        return made[0]

    def _some(
        self, kept: Iterator[Document], reader: "Reader", counts: list[Count]
    ) -> Iterator[Document]:
        """InputError saying who dropped what, if that was all."""
        empty = True
        for document in kept:
            empty = False
            yield document
        if empty:
            dropped = [count.told() for count in counts if count.why]
            why = [
                f"{one.filter} dropped {one.documents:,}"
                f" ({', '.join(f'{n:,} {reason}' for reason, n in one.why.items())})"
                for one in dropped
            ]
            raise InputError(
                f"no document is left to write to {self.output}:"
                f" of {reader.documents:,}, {'; '.join(why) or 'none'}"
            )

    def _passed(self, found: "Reader", counts: list[Count]) -> Iterator[Document]:
        for document in found:
            kept: Document | None = document
            for filter, count in zip(self.filters, counts, strict=True):
                assert kept is not None
                answer = filter(kept)
                if isinstance(answer, str):
                    count.drop(kept, answer)
                    kept = None
                    break
                count.changed += answer is not kept
                kept = answer
            if kept is not None:
                yield kept

    def _different(
        self, found: Iterator[Document], near: Near, count: Count, spool: BinaryIO, tell: Tell
    ) -> Iterator[Document]:
        """All signatures have to be known before the first document can be let through: documents
        wait in a file."""
        for document in found:
            near.add(mark(document))
            spool.write(documents.encode(document) + b"\n")
        total = spool.tell()
        spool.seek(0)
        ids: dict[int, str] = {}
        first = near.first_of()
        wanted = set(first[first >= 0].tolist())
        for index, line in enumerate(spool):
            document = documents.parse(line, "a document that was read")
            if index in wanted:
                ids[index] = document.id or f"document {index}"
            if first[index] < 0:
                yield document
            else:
                why = f"repeats {ids[int(first[index])]}"
                count.why["near another"] += 1
                if len(count.examples) < EXAMPLES:
                    count.examples.append(f"{document.id or 'a document'} {why}")
            if index % 1000 == 0:
                tell("writing", spool.tell(), total)

    def _written(self, document: Document) -> Document:
        if not self.as_text or document.text is not None:
            return document
        return changed(document, messages=None, text=document.written)


def mark(document: Document) -> Signature:
    """What near-duplicates are known by. Two tasks are different questions even where they share
    most of their words: only the same one is one."""
    if document.answer is None:
        return signature(document.body)
    return of_shingles(np.array([grams.number(document.body)], np.uint64))


class Reader:
    """Documents of several data sets in order, and what files they stood in."""

    def __init__(self, sources: Sequence[Path], tell: Tell) -> None:
        self.sources, self.tell, self.documents = sources, tell, 0
        self._files = [(path, file) for path in sources for file in documents.files(path)]
        self._shards: dict[Path, list[Shard]] = {path: [] for path in sources}

    def __iter__(self) -> Iterator[Document]:
        total = sum(file.stat().st_size for _, file in self._files)
        size = 0
        for path, file in self._files:
            for number, line in documents.lines(file):
                size += len(line) + 1
                self.documents += 1
                if self.documents % 1000 == 0:
                    self.tell("filtering", min(size, total), total)
                yield documents.parse(line, f"{file}, line {number}")
            self._shards[path].append(documents.shard_of(file))

    def parents(self) -> list[Parent]:
        return [card.parent(path, shards) for path, shards in self._shards.items()]


def _of(parent: Parent, name: str) -> Any:
    return (parent.card or {}).get(name)


def _common(values: list[Any]) -> Any:
    """The one that all have; None if they differ."""
    return values[0] if values and all(value == values[0] for value in values) else None
