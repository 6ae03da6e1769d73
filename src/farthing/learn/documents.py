"""Documents on disk: a folder of JSONL files, one object a line, every byte of it checked.

    {"text": "..."}
    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

A data set is a folder of part-00000.jsonl ... with a card (card.py). A lone .jsonl file is read as
well, and so is Parquet (parquet.py), whose rows stand for lines. Nothing is skipped: an empty,
giant or broken line is named with its file and number.
"""

import errno
import shutil
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from farthing.errors import DiskFull, InputError, NotFound
from farthing.learn import parquet

LONGEST = 1 << 20
"""Bytes of a line."""
SHARD = 64 << 20
"""Bytes after which a new file is begun."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

encode = msgspec.json.Encoder().encode


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Either `text` or `messages`."""

    text: str | None = None
    messages: tuple[Message, ...] | None = None
    id: str | None = None
    kind: str | None = None
    """What sort of text or task."""
    language: str | None = None
    """As "en" or "zh"."""
    template: str | None = None
    """The template a task was made from; those of the test are never trained on."""
    answer: str | None = None
    """What tasks.check holds an answer to."""
    source: str | None = None
    """Who wrote it, as a teacher's name."""
    finish: str | None = None
    """Why its writer stopped: "length" if it was cut off, "stop" if it came to an end."""

    @property
    def body(self) -> str:
        """All that a reader of it would read, messages end to end."""
        if self.text is not None:
            return self.text
        return "\n".join(message.content for message in self.messages or ())

    @property
    def written(self) -> str:
        """What its writer wrote: the text, or the assistant's last message."""
        if self.text is not None:
            return self.text
        said = [m.content for m in self.messages or () if m.role == "assistant"]
        return said[-1] if said else ""


class Shard(msgspec.Struct, frozen=True):
    """A file of a data set, as its card names it."""

    name: str
    documents: int
    bytes: int
    sha256: str


def files(path: Path) -> list[Path]:
    """The files of a data set, in order. Raises NotFound if there is none."""
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.jsonl")) or sorted(path.glob(f"*{parquet.SUFFIX}"))
    if not found:
        what = "holds no .jsonl file" if path.is_dir() else "is neither a file nor a folder"
        raise NotFound(f"{path} {what}; a data set is JSONL, one document a line")
    return found


def read(path: Path) -> Iterator[Document]:
    """Every document of a file, or of a folder's files in order.

    Raises NotFound, or InputError naming the file, the line and what was expected.
    """
    for file in files(path):
        for number, line in lines(file):
            yield parse(line, f"{file}, line {number}")


def lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1, and lines without their end; none longer than LONGEST is ever held."""
    if file.suffix == parquet.SUFFIX:
        yield from parquet.rows(file, LONGEST)
        return
    try:
        with file.open("rb") as opened:
            number = 0
            while line := opened.readline(LONGEST + 2):
                number += 1
                line = line.removesuffix(b"\n")
                if len(line) > LONGEST:
                    raise InputError(
                        f"{file}, line {number}: over {LONGEST} bytes; split the document"
                    )
                yield number, line
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from None


KEYS = Document.__struct_fields__
_decode = msgspec.json.Decoder(Document).decode


def parse(line: bytes, where: str) -> Document:
    if not line.strip():
        raise InputError(f"{where}: empty; a document was expected (remove the line)")
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        known = "" if "unknown" not in str(error) else f"; known are {', '.join(KEYS)}"
        raise InputError(f"{where}: {str(error)[:200]}{known}") from None
    if (found.text is None) == (found.messages is None):
        raise InputError(f'{where}: either "text" or "messages" was expected')
    if not found.body.strip():
        raise InputError(f"{where}: a document without text; remove the line")
    return found


class Shards:
    """Documents appended to part-00000.jsonl, part-00001.jsonl ... of a folder."""

    def __init__(self, folder: Path, size: int = SHARD) -> None:
        self.folder, self.size = folder, size
        self.done: list[Shard] = []
        self._file: BinaryIO | None = None
        self._documents, self._bytes, self._hash = 0, 0, sha256()

    def add(self, document: Document) -> None:
        line = encode(document) + b"\n"
        if len(line) > LONGEST:
            raise InputError(f"a document of {len(line)} bytes; at most {LONGEST} fit a line")
        if self._file is None or self._bytes + len(line) > self.size:
            self.close()
            self._file = (self.folder / part(len(self.done))).open("xb")
        self._file.write(line)
        self._hash.update(line)
        self._documents += 1
        self._bytes += len(line)

    def close(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        name = part(len(self.done))
        self.done.append(Shard(name, self._documents, self._bytes, self._hash.hexdigest()))
        self._documents, self._bytes, self._hash = 0, 0, sha256()


def part(number: int) -> str:
    return f"part-{number:05}.jsonl"


def write(
    folder: Path,
    documents: Iterable[Document],
    finish: Callable[[Path, list[Shard]], None],
    *,
    size: int = SHARD,
    as_parquet: bool = False,
) -> list[Shard]:
    """A new data set: whole, or not there. `finish` is given the draft's folder and its files, to
    put the card beside them (card.write).

    Raises InputError if the folder exists or no document came, DiskFull if there is no room.
    """
    if folder.exists():
        raise InputError(f"{folder} exists; remove it, or choose another folder")
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        shards = Shards(draft, size)
        try:
            for document in documents:
                shards.add(document)
        finally:
            shards.close()
        if not shards.done:
            raise InputError(f"no document is left to write to {folder}")
        done = shards.done
        if as_parquet:
            done = [shard_of(parquet.converted(draft / one.name, KEYS)) for one in done]
        finish(draft, done)
        draft.rename(folder)
    except OSError as error:
        raise refused(folder, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return done


def refused(path: Path, error: OSError) -> DiskFull | InputError:
    """The system's no to a write, in our words."""
    kind = DiskFull if error.errno in NO_ROOM else InputError
    return kind(f"{path} can't be written: {error.strerror}")


def shard_of(file: Path) -> Shard:
    """What a file holds, read again."""
    count, size, digest = 0, 0, sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            count += block.count(b"\n")
            size += len(block)
            digest.update(block)
    if file.suffix == parquet.SUFFIX:
        count = parquet.count(file)
    return Shard(file.name, count, size, digest.hexdigest())
