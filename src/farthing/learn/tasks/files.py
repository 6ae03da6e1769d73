"""Tasks on disk: as documents to train on, and as questions for `farthing eval --tasks`."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from farthing.errors import InputError
from farthing.learn import card, documents
from farthing.learn.card import Tally
from farthing.learn.documents import Document, Shard
from farthing.learn.tasks.choosing import KINDS, grouped, samples
from farthing.learn.tasks.fields import whole
from farthing.learn.tasks.texts import KINDS as TEXTS
from farthing.learn.tasks.texts import texts
from farthing.learn.tasks.types import Sample, Split

MADE_BY = "farthing learn data tasks"
LICENCE = "apache-2.0"
"""Of what farthing's own generators write: as of farthing."""
MOST_TURNS = 16
TRIES = 50
"""Samples drawn for every distinct question wanted."""


def write(
    folder: Path,
    kinds: Sequence[str],
    languages: Sequence[str],
    count: int,
    seed: int,
    split: Split,
    made_by: str = MADE_BY,
    turns: int = 1,
) -> list[Shard]:
    """A data set, of tasks or of texts, with its card, which tells the command it was made by.
    Of tasks, up to `turns` stand in one chat.

    Raises InputError as samples(), texts() and documents.write() do.
    """
    kinds = named(kinds)
    of_texts = [kind in TEXTS for kind in kinds]
    if any(of_texts) and not all(of_texts):
        raise InputError("tasks and texts are data sets of their own; make one after the other")
    made: Iterator[Document]
    if all(of_texts):
        made = texts(kinds, languages, count, seed, split)
    else:
        made = chats(samples(kinds, languages, count, seed, split), turns, seed)
    tally = Tally()
    settings = {"kinds": ", ".join(kinds), "seed": seed, "split": split, "turns": turns}

    def finish(draft: Path, shards: list[Shard]) -> None:
        told = tally.card(
            name=folder.name,
            made_by=made_by,
            files=shards,
            settings=settings,
            licence=LICENCE,
        )
        card.write(draft, told)

    return documents.write(folder, tally.over(made), finish)


def chats(found: Iterable[Sample], turns: int, seed: int) -> Iterator[Document]:
    """One to `turns` samples of one language a chat, none left out. One alone keeps its answer.

    Raises InputError for turns beyond 1 to MOST_TURNS.
    """
    if not 1 <= turns <= MOST_TURNS:
        raise InputError(f"{turns} tasks in one chat; from 1 to {MOST_TURNS} are written")
    rng = Random(f"chats {seed}")
    held: dict[str, list[Sample]] = {}
    room: dict[str, int] = {}
    for sample in found:
        if turns == 1:
            yield sample.document()
            continue
        chat = held.setdefault(sample.language, [])
        size = room.setdefault(sample.language, whole(rng, 1, turns))
        chat.append(sample)
        if len(chat) == size:
            yield joined(held.pop(sample.language))
            del room[sample.language]
    yield from map(joined, held.values())


def joined(chat: Sequence[Sample]) -> Document:
    if len(chat) == 1:
        return chat[0].document()
    messages = [message for one in chat for message in one.document().messages or ()]
    return Document(messages=tuple(messages), kind="turns", language=chat[0].language)


def named(kinds: Sequence[str]) -> Sequence[str]:
    """All tasks for "tasks", all texts for "texts"."""
    groups = {"tasks": KINDS, "texts": TEXTS}
    return [one for kind in kinds for one in groups.get(kind, (kind,))]


def questions(
    folder: Path, kinds: Sequence[str], languages: Sequence[str], count: int, seed: int
) -> list[Path]:
    """A file a kind and language, of `count` different questions of the test split each.

    Whole, or not there. Raises InputError if the folder exists, or a kind has not so many
    questions; DiskFull.
    """
    groups = grouped(named(kinds), languages)
    if folder.exists():
        raise InputError(f"{folder} exists; remove it, or choose another folder")
    made = {
        folder / f"{kind}-{language}.jsonl": distinct(kind, language, count, seed)
        for kind, language in groups
    }
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for path, found in made.items():
            lines = [{"question": one.prompt, "answer": one.answer} for one in found]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (draft / path.name).write_text(text, encoding="utf-8")
        draft.rename(folder)
    except OSError as error:
        raise documents.refused(folder, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return list(made)


def distinct(kind: str, language: str, count: int, seed: int) -> list[Sample]:
    found: dict[str, Sample] = {}
    for sample in samples((kind,), (language,), count * TRIES, seed, "test"):
        found.setdefault(sample.prompt, sample)
        if len(found) == count:
            return list(found.values())
    raise InputError(f"{kind} in {language} has {len(found)} questions, not {count}; ask for fewer")
