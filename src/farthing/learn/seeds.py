"""Prompts grown from seeds: forms whose holes are filled from lists, the same for a seed.

The seeds we bring are seeds.toml; a user's own are a file like it, or a .txt of subjects, one a
line. The prompt of an index never depends on how many were asked for, or in what order.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Protocol

import msgspec

from farthing.errors import InputError, NotFound
from farthing.learn import documents
from farthing.learn.documents import Document, Message

LARGEST = 16 << 20
HOLE = re.compile(r"\{(\w+)(?:\.(\d))?\}")
"""{name}, or {name.2} for a second word of the same list."""
SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Prompt:
    messages: tuple[Message, ...]
    kind: str | None = None
    language: str | None = None
    template: str | None = None
    answer: str | None = None


class Prompts(Protocol):
    """A prompt for every index from 0."""

    @property
    def sha256(self) -> str:
        """Of all that decides the prompts."""

    @property
    def about(self) -> dict[str, Any]:
        """For the card."""

    def prompt(self, index: int) -> Prompt: ...


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    text: str
    weight: int = 1
    """How often it is taken, relative to the others."""

    @property
    def holes(self) -> list[str]:
        """The lists it draws from."""
        return [name for name, _ in HOLE.findall(self.text)]


class Lists(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seeds file as it stands."""

    form: tuple[Form, ...]
    lists: dict[str, str] = {}
    """One item a line."""
    language: str | None = None


@dataclass(frozen=True)
class Seeds:
    forms: tuple[Form, ...]
    lists: dict[str, tuple[str, ...]]
    language: str | None
    seed: int
    source: str

    @cached_property
    def sha256(self) -> str:
        held = [self.forms, self.lists, self.language, self.seed]
        return sha256(msgspec.json.encode(held, order="deterministic")).hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        return {
            "seeds": self.source,
            "seed": self.seed,
            "forms": len(self.forms),
            "items": {name: len(items) for name, items in sorted(self.lists.items())},
            "sha256": self.sha256,
        }

    def prompt(self, index: int) -> Prompt:
        chance = Random(f"{self.seed} {index}")
        form = chance.choices(self.forms, self._weights)[0]
        text = fill(form.text, self.lists, chance)
        return Prompt((Message("user", text),), kind=form.kind, language=self.language)

    def grown(self, name: str, items: Sequence[str]) -> "Seeds":
        """With more items in one list."""
        lists = self.lists | {name: (*self.lists[name], *items)}
        return Seeds(self.forms, lists, self.language, self.seed, self.source)

    @cached_property
    def _weights(self) -> list[int]:
        return [form.weight for form in self.forms]


def fill(text: str, lists: dict[str, tuple[str, ...]], chance: Random) -> str:
    """Every hole gets an item; two holes of one list never the same, unless the number is."""
    taken: dict[tuple[str, str], str] = {}
    for name, number in HOLE.findall(text):
        if (name, number) not in taken:
            before = {item for (other, _), item in taken.items() if other == name}
            item = chance.choice(lists[name])
            while item in before:
                item = chance.choice(lists[name])
            taken[name, number] = item
    return HOLE.sub(lambda hole: taken[hole[1], hole[2] or ""], text)


def ours(seed: int) -> Seeds:
    return parse((files(__package__) / "seeds.toml").read_text("utf-8"), seed, "farthing's own")


def read(path: Path, seed: int) -> Seeds:
    """Raises NotFound, or InputError naming the file and what is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise InputError(f"over {LARGEST >> 20} MiB; give fewer seeds")
        if path.suffix == ".txt":
            return about(listed(raw.decode(), "the file"), seed, path.name)
        return parse(raw.decode(), seed, path.name)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file of seeds (a .toml, or a .txt of subjects)") from None
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None


def about(subjects: tuple[str, ...], seed: int, source: str) -> Seeds:
    """Our forms that ask about a subject, on the user's."""
    own = ours(seed)
    forms = tuple(form for form in own.forms if SUBJECT in form.holes)
    lists = own.lists | {SUBJECT: subjects}
    return checked(Seeds(forms, lists, own.language, seed, source))


def parse(text: str, seed: int, source: str) -> Seeds:
    try:
        found = msgspec.convert(tomllib.loads(text), Lists)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise InputError(str(error)) from None
    lists = {name: listed(items, f"lists.{name}") for name, items in found.lists.items()}
    return checked(Seeds(found.form, lists, found.language, seed, source))


def listed(items: str, where: str) -> tuple[str, ...]:
    found = tuple(line.strip() for line in items.splitlines() if line.strip())
    if not found:
        raise InputError(f"{where} is empty; one item a line was expected")
    if len(set(found)) < len(found):
        twice = Counter(found).most_common(1)[0][0]
        raise InputError(f"{where} holds {twice!r:.60} twice; remove one")
    return found


def checked(seeds: Seeds) -> Seeds:
    if not seeds.forms:
        raise InputError("no [[form]]; one with kind and text was expected")
    for form in seeds.forms:
        if form.weight < 1 or not form.text.strip():
            raise InputError(f"form {form.text!r:.60}: a text and a weight above 0 were expected")
        for name in form.holes:
            count = len(seeds.lists.get(name, ()))
            if not count:
                known = ", ".join(seeds.lists) or "none"
                raise InputError(f"form {form.text!r:.60}: no list {name!r}; there are {known}")
            if count < sum(other == name for other, _ in set(HOLE.findall(form.text))):
                raise InputError(f"form {form.text!r:.60} wants more of {name!r} than there are")
    return seeds


@dataclass(frozen=True)
class Given:
    """Prompts that stand in documents: what comes before the assistant's last message, or the
    whole of a text. From the last one it begins again at the first."""

    held: tuple[Prompt, ...]
    source: str

    @classmethod
    def read(cls, path: Path) -> "Given":
        held = tuple(asked(document) for document in documents.read(path))
        if not held:
            raise InputError(
                f"{path} holds no prompt; documents with a user's message were expected"
            )
        return cls(held, path.name)

    @cached_property
    def sha256(self) -> str:
        digest = sha256()
        for prompt in self.held:
            digest.update(documents.encode(prompt) + b"\n")
        return digest.hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        return {"prompts": self.source, "count": len(self.held), "sha256": self.sha256}

    def prompt(self, index: int) -> Prompt:
        return self.held[index % len(self.held)]


def asked(document: Document) -> Prompt:
    messages = document.messages or (Message("user", document.text or ""),)
    if messages[-1].role == "assistant":
        messages = messages[:-1]
    if not messages or messages[-1].role != "user":
        raise InputError(f"{document.body!r:.60}: no question; a user's message was expected")
    return Prompt(
        messages, document.kind, document.language, document.template, answer=document.answer
    )
