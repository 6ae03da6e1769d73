"""What a teacher has answered so far, on disk: killed at any moment, nothing is lost or doubled.

    part-00000.jsonl ...   the documents, appended as answers come
    asked/job.json         what decides the answers; another job is refused this folder
    asked/bills.jsonl      a row for each request: tokens, money, why it ended
    card.json, README.md   written whenever the work ends or pauses

A request's bill is written before its documents: if these did not all arrive, they are cut off
and the request is asked again, and its first bill stays (it was paid).
"""

import fcntl
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from farthing.errors import FormatError, InputError
from farthing.learn import documents
from farthing.learn.documents import Document, part, refused

ASKED, JOB, BILLS = "asked", "job.json", "bills.jsonl"


class Bill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one request; `documents` is how many of its answers were kept."""

    request: str
    at: int
    """Nanoseconds since 1970, UTC."""
    model: str
    documents: int = 0
    finish: tuple[str, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    nanodollars: int | None = None
    seconds: float = 0.0
    """From the question to the answer."""
    refused: str | None = None
    """What the endpoint said instead of an answer."""


class Totals(msgspec.Struct):
    requests: int = 0
    documents: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    nanodollars: int = 0
    unpriced: int = 0
    """Requests whose cost is not known."""
    refused: int = 0
    empty: int = 0
    """Answers without a word in them."""
    seconds: float = 0.0
    finish: dict[str, int] = {}

    def add(self, bill: Bill) -> None:
        self.requests += 1
        self.documents += bill.documents
        self.prompt_tokens += bill.prompt_tokens
        self.cached_tokens += bill.cached_tokens
        self.completion_tokens += bill.completion_tokens
        self.nanodollars += bill.nanodollars or 0
        self.seconds += bill.seconds
        self.unpriced += bill.nanodollars is None and bill.refused is None
        self.refused += bill.refused is not None
        self.empty += len(bill.finish) - bill.documents
        for reason in bill.finish:
            self.finish[reason] = self.finish.get(reason, 0) + 1


class Answers:
    """One process at a time. `done` are the requests that need not be asked again."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        """Raises InputError if another process works here, or the folder is of another job."""
        self.folder = folder
        self.totals = Totals()
        try:
            (folder / ASKED).mkdir(parents=True, exist_ok=True)
            with ExitStack() as failed:
                self._lock = _locked(folder / ASKED / "lock")
                failed.callback(os.close, self._lock)
                self._open(job)
                failed.pop_all()
        except OSError as error:
            raise refused(folder, error) from None

    def _open(self, job: dict[str, Any]) -> None:
        _same(self.folder / ASKED / JOB, job)
        bills = self._read_bills()
        due = {bill.request: bill.documents for bill in bills}
        held = self._repair(due)
        self._bills = (self.folder / ASKED / BILLS).open("ab", buffering=0)
        self._part = self._open_part()
        self.done = {request for request, count in due.items() if held[request] == count}
        for bill in bills:
            self.totals.add(bill)
        # Of a request that was asked twice both bills count, and the documents once.
        self.totals.documents = held.total()

    def add(self, bill: Bill, kept: Sequence[Document]) -> None:
        """Raises DiskFull if there is no room: what was kept before stays whole."""
        try:
            _write(self._bills, documents.encode(bill) + b"\n")
            if kept:
                _write(self._part, b"".join(documents.encode(one) + b"\n" for one in kept))
            if self._part.tell() > documents.SHARD:
                self._part.close()
                self._part = self._open_part()
        except OSError as error:
            raise refused(self.folder, error) from None
        self.done.add(bill.request)
        self.totals.add(bill)

    def sync(self) -> None:
        os.fsync(self._part.fileno())
        os.fsync(self._bills.fileno())

    def close(self) -> None:
        self.sync()
        self._part.close()
        self._bills.close()
        os.close(self._lock)

    def parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.jsonl"))

    def _read_bills(self) -> list[Bill]:
        path = self.folder / ASKED / BILLS
        if not path.exists():
            return []
        _cut(path, _whole(path))
        try:
            return [msgspec.json.decode(line, type=Bill) for _, line in documents.lines(path)]
        except msgspec.MsgspecError as error:
            raise FormatError(f"{path} is damaged ({error}); begin in a new folder") from None

    def _repair(self, due: dict[str, int]) -> Counter[str]:
        """Cuts what a killed process left half-written off the last file. How many documents each
        request has then; a request is due what its last bill says."""
        parts = self.parts()
        held: Counter[str] = Counter()
        for path in parts[:-1]:
            held.update(_requests(path))
        if parts:
            _cut(parts[-1], _whole(parts[-1]))
            last = _requests(parts[-1])
            count = Counter(last)
            while last and held[last[-1]] + count[last[-1]] != due.get(last[-1]):
                count[last.pop()] -= 1
            _cut(parts[-1], _length(parts[-1], len(last)))
            held.update(last)
        if wrong := next((name for name, n in held.items() if n != due.get(name)), None):
            raise FormatError(
                f"{self.folder}: the documents of request {wrong} do not match its bill;"
                " begin in a new folder"
            )
        return held

    def _open_part(self) -> FileIO:
        parts = self.parts()
        last = parts[-1] if parts else None
        if last is None or last.stat().st_size > documents.SHARD:
            last = self.folder / part(len(parts))
        return last.open("ab", buffering=0)


def request_of(id: str) -> str:
    """The request a document answers: its id without the number of the choice."""
    return id.rpartition("-")[0]


def _requests(path: Path) -> list[str]:
    where = str(path)
    found = (documents.parse(line, f"{where}, line {n}") for n, line in documents.lines(path))
    return [request_of(document.id or "") for document in found]


def _whole(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = max(0, size - documents.LONGEST - 1)
        file.seek(at)
        return at + file.read().rfind(b"\n") + 1


def _length(path: Path, lines: int) -> int:
    """Bytes of the first so many lines."""
    with path.open("rb") as file:
        return sum(len(file.readline()) for _ in range(lines))


def _cut(path: Path, size: int) -> None:
    if path.stat().st_size != size:
        os.truncate(path, size)


def _write(file: FileIO, data: bytes) -> None:
    """All of it in one call, or none: half a line is taken back."""
    before = file.seek(0, os.SEEK_END)
    try:
        written = file.write(data)
        while written < len(data):
            written += file.write(data[written:])
    except OSError:
        file.truncate(before)
        raise


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(f"{path.parent.parent}: another process is sampling into it") from None
    return handle


def _same(path: Path, job: dict[str, Any]) -> None:
    """Raises InputError naming the first setting that is not what the folder was begun with."""
    if not path.exists():
        draft = path.with_suffix(".partial")
        draft.write_bytes(documents.encode(job) + b"\n")
        draft.replace(path)
        return
    try:
        before = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise FormatError(f"{path} is damaged ({error}); begin in a new folder") from None
    for name in sorted(before.keys() | job.keys()):
        was, now = before.get(name), job.get(name)
        if was != now:
            raise InputError(
                f"{path.parent.parent} was begun with {name} = {was!r:.80}, and this is"
                f" {now!r:.80}; choose another folder, or the same setting"
            )
