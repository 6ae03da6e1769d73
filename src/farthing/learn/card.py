"""A data set's card: what is in it, who wrote it, from what, and what that cost.

card.json is for programs, README.md for people (and for the Hugging Face hub, whose head it has).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from farthing import __version__
from farthing.errors import FormatError, NotFound
from farthing.learn.documents import Document, Shard, refused, shard_of
from farthing.meter.rate import NANO, dollars

CARD, README = "card.json", "README.md"
LARGEST = 16 << 20


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    nanodollars: int
    unpriced: int = 0
    """Requests whose cost is not known, and not in the sum."""

    seconds: float
    """Of waiting for answers, all streams together."""

    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """What one filter took away, or `changed`."""

    filter: str
    documents: int
    why: dict[str, int]
    """Documents by reason."""

    examples: list[str] = []
    """Ids of some of them."""

    changed: int = 0
    settings: dict[str, Any] = {}


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that this one was made from."""

    name: str
    documents: int
    sha256: str
    """Of its files' hashes, in order."""

    card: dict[str, Any] | None = None
    """Its own card, if it had one."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    made_by: str
    """The command, as `farthing learn data sample`."""

    files: list[Shard]
    documents: int
    characters: int
    kinds: dict[str, int]
    """Documents of each kind, and of each language."""

    languages: dict[str, int]
    licence: str | None = None
    """Of these texts. A teacher's licence may have a say in it."""

    teacher: dict[str, Any] | None = None
    prompts: dict[str, Any] | None = None
    settings: dict[str, Any] = {}
    cost: Cost | None = None
    filters: list[Dropped] = []
    parents: list[Parent] = []
    version: int = 1
    farthing: str = __version__
    made_at: str = msgspec.field(
        default_factory=lambda: datetime.now(UTC).isoformat("T", "seconds")
    )


class Tally:
    """Counts documents on their way: `card(...)` then says what passed."""

    def __init__(self) -> None:
        self.documents = self.characters = 0
        self.kinds: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()

    def over(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            self.documents += 1
            self.characters += len(document.body)
            self.kinds[document.kind or "text"] += 1
            self.languages[document.language or "unknown"] += 1
            yield document

    def card(self, *, name: str, made_by: str, files: list[Shard], **more: Any) -> Card:
        """`more`: the other fields of Card."""
        return Card(
            name=name,
            made_by=made_by,
            files=files,
            documents=self.documents,
            characters=self.characters,
            kinds=dict(self.kinds.most_common()),
            languages=dict(self.languages.most_common()),
            **more,
        )


def write(folder: Path, card: Card) -> None:
    """Over the one before, if there is one. Raises DiskFull, or InputError if it can't be."""
    for name, text in ((README, readme(card)), (CARD, _json(card))):
        draft = folder / f".{name}.partial"
        try:
            draft.write_text(text, "utf-8")
            draft.replace(folder / name)
        except OSError as error:
            raise refused(folder, error) from None


def read(folder: Path) -> Card:
    """Raises NotFound, or FormatError."""
    try:
        with (folder / CARD).open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST), type=Card)
    except FileNotFoundError:
        raise NotFound(f"{folder} has no {CARD}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{folder / CARD} is no card of a data set: {error}") from None


def check(folder: Path) -> Card:
    """The card, its files read again. Raises FormatError naming a file that is not what it was."""
    card = read(folder)
    for shard in card.files:
        path = folder / Path(shard.name).name
        if not path.is_file() or shard_of(path) != shard:
            raise FormatError(f"{path} is not the file that the card names; make it again")
    return card


def parent(path: Path, shards: list[Shard]) -> Parent:
    """A data set as another's source; `shards` are the files as they were read."""
    digest = sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()
    documents = sum(shard.documents for shard in shards)
    return Parent(name=path.name, documents=documents, sha256=digest, card=_any(path / CARD))


def _any(path: Path) -> dict[str, Any] | None:
    """A card as it stands, whoever made it. Raises FormatError if it is no JSON object."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST), type=dict[str, Any])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path} is no card of a data set: {error}") from None


def readme(card: Card) -> str:
    parts = [_head(card), f"# {card.name}\n\nMade by `{card.made_by}` of farthing {card.farthing}"]
    parts[-1] += f" on {card.made_at[:10]}: {card.documents:,} documents, "
    parts[-1] += f"{card.characters:,} characters.\n"
    parts += [_table("kind", card.kinds), _table("language", card.languages)]
    if card.teacher:
        parts.append(_pairs("Teacher", card.teacher))
    if card.prompts:
        parts.append(_pairs("Prompts", card.prompts))
    if card.settings:
        parts.append(_pairs("Settings", card.settings))
    if card.cost:
        parts.append(_cost(card.cost))
    if card.filters:
        parts.append(_filters(card.filters))
    if card.parents:
        rows = [f"| {p.name} | {p.documents:,} | `{p.sha256}` |" for p in card.parents]
        parts.append(
            "## Made from\n\n| data | documents | sha256 |\n|---|--:|---|\n" + _lines(rows)
        )
    files = [f"| {f.name} | {f.documents:,} | {f.bytes:,} | `{f.sha256}` |" for f in card.files]
    parts.append(
        "## Files\n\n| file | documents | bytes | sha256 |\n|---|--:|--:|---|\n" + _lines(files)
    )
    return "\n".join(parts)


def _head(card: Card) -> str:
    lines = ["---", f"license: {card.licence or 'unknown'}"]
    lines += ["language:", *(f"- {name}" for name in card.languages if len(name) == 2)]
    suffix = Path(card.files[0].name).suffix if card.files else ".jsonl"
    lines += ["configs:", "- config_name: default", f'  data_files: "part-*{suffix}"', "---", ""]
    return _lines(lines)


def _cost(cost: Cost) -> str:
    hours = cost.seconds / 3600
    text = (
        f"## Cost\n\n{dollars(cost.nanodollars)} for {cost.requests:,} requests:"
        f" {cost.prompt_tokens:,} prompt tokens ({cost.cached_tokens:,} of them cached) and"
        f" {cost.completion_tokens:,} of answers, in {hours:.2f} hours of streams.\n"
    )
    if cost.completion_tokens and not cost.unpriced:
        each = cost.nanodollars / cost.completion_tokens * 10**6 / NANO
        text += f"That is ${each:.4f} for a million tokens of answers.\n"
    if cost.unpriced:
        text += f"The cost of {cost.unpriced:,} requests is not known and not in it.\n"
    return text


def _filters(filters: list[Dropped]) -> str:
    rows = [
        f"| {one.filter} | {one.documents:,} | {one.changed:,} | "
        + ", ".join(f"{why}: {n:,}" for why, n in one.why.items())
        + " |"
        for one in filters
    ]
    return "## Filters\n\n| filter | dropped | changed | why |\n|---|--:|--:|---|\n" + _lines(rows)


def _table(name: str, counts: dict[str, int]) -> str:
    rows = [f"| {one} | {n:,} |" for one, n in counts.items()]
    return f"| {name} | documents |\n|---|--:|\n" + _lines(rows)


def _pairs(title: str, pairs: dict[str, Any]) -> str:
    rows = [f"- {name}: {value}" for name, value in pairs.items() if value is not None]
    return f"## {title}\n\n" + _lines(rows)


def _lines(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _json(card: Card) -> str:
    return msgspec.json.format(msgspec.json.encode(card), indent=1).decode() + "\n"
