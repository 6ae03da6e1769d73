"""Our engine as a teacher: what it makes of every token of a corpus, written to be learned from.

Short documents go through the engine side by side, long ones by themselves. Only tokens whose
successor is learned are asked about. A folder grows beside its place and appears when it is whole;
the same command goes on where one was stopped.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from farthing.config import EngineConfig
from farthing.engine.runner import PAGE, NativeRunner
from farthing.engine.types import RowSampling, Step
from farthing.errors import FormatError, InputError
from farthing.formats import packed
from farthing.learn import facts, kept_logits
from farthing.learn.corpus import Corpus
from farthing.learn.kept_logits import ABOUT, VERSION, Kept, Mapped
from farthing.learn.tokenizer import sha256

STEP = 256
"""Tokens of a step: each may want its logits."""
FLUSHED = 20.0
"""Seconds between notes of how far it got."""
PROGRESS = "progress.json"
NOTHING = RowSampling(**dict.fromkeys(RowSampling.__struct_fields__, np.array([])))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    top: int = 16
    """How many of the likeliest successors are kept as they are."""
    draws: int = 16
    """How many of all others are drawn."""
    temperature: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of one document that go through at once."""

    document: int
    begin: int
    """Their position in it."""

    ids: NDArray[np.int32]
    last: bool
    """Whether the document ends here."""


def write(
    corpus_folder: Path,
    teacher: Path,
    into: Path,
    settings: Settings,
    *,
    threads: int = 0,
    command: str = "",
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Kept:
    """Of a corpus, by a packed teacher. `tell` hears documents done and in all; `command`
    is what asked for it.

    Raises InputError if `into` exists, if the tokenizers differ or a document is longer than what
    the teacher reads; NotFound, FormatError for corpus and teacher.
    """
    if into.exists():
        raise InputError(f"{into} exists; remove it, or choose another folder")
    corpus = Corpus.open(corpus_folder)
    runner = NativeRunner(teacher, EngineConfig(max_step_tokens=STEP, threads=threads))
    _check(corpus, teacher, runner, settings)
    about = {
        "version": VERSION,
        "teacher": teacher.name,
        "teacher_identity": packed.identity(teacher),
        "corpus": facts.digest(corpus),
        "vocabulary": runner.vocabulary,
        **msgspec.to_builtins(settings),
    }
    draft = into.with_name(f".{into.name}.partial")
    if not (draft / PROGRESS).exists():  # of what is there, nobody knows whose it is
        shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, exist_ok=True)
    done, spent = _before(draft / PROGRESS, about)
    arrays = kept_logits.begin(
        draft, len(corpus.tokens), runner.vocabulary, top=settings.top, draws=settings.draws
    )
    writer = _Writer(corpus, runner, settings, arrays)
    began = noted = monotonic()
    for pieces in steps(corpus, done):
        writer.step(pieces)
        done = pieces[-1].document + pieces[-1].last
        tell(done, corpus.documents)
        if monotonic() - noted > FLUSHED:
            noted = monotonic()
            _note(draft / PROGRESS, arrays, about, done, spent + noted - began)
    told = about | {"seconds": round(spent + monotonic() - began, 1), "asked": asked(corpus)}
    told |= {"command": command} if command else {}
    for array in arrays.values():
        array.flush()
    (draft / PROGRESS).unlink(missing_ok=True)
    (draft / ABOUT).write_text(json.dumps(told, indent=1))
    draft.rename(into)
    tell(corpus.documents, corpus.documents)
    return Kept.open(into)


def asked(corpus: Corpus) -> int:
    """Tokens that are learned as somebody's successor."""
    if corpus.learned is None:
        return len(corpus.tokens) - corpus.documents
    return int(corpus.learned.sum() - corpus.learned[corpus.starts[:-1]].sum())


def steps(corpus: Corpus, first: int) -> Iterator[list[Piece]]:
    """The documents from `first` on: as many as fit a step, or a part of one that doesn't.

    Those after any whole step are the same from there on, wherever one begins.
    """
    waiting: list[Piece] = []
    held = 0
    for document in range(first, corpus.documents):
        start, stop = (int(x) for x in corpus.starts[document : document + 2])
        # the last token has no successor
        ids = np.asarray(corpus.tokens[start : stop - 1], np.int32)
        if waiting and held + len(ids) > STEP:
            yield waiting
            waiting, held = [], 0
        if len(ids) <= STEP:
            waiting.append(Piece(document, 0, ids, True))
            held += len(ids)
            continue
        for begin in range(0, len(ids), STEP):
            part = ids[begin : begin + STEP]
            yield [Piece(document, begin, part, begin + len(part) == len(ids))]
    if waiting:
        yield waiting


@dataclass(slots=True)
class _Writer:
    corpus: Corpus
    runner: NativeRunner
    settings: Settings
    arrays: dict[str, Mapped]

    def step(self, pieces: Sequence[Piece]) -> None:
        places = np.concatenate(
            [self.corpus.starts[p.document] + p.begin + np.arange(len(p.ids)) for p in pieces]
        )
        learned = self.corpus.learned
        wanted = np.ones(len(places), bool) if learned is None else learned[places + 1]
        rows = np.flatnonzero(wanted).astype(np.int32)
        if not len(rows):
            # its keys and values are still needed by what follows of the same document
            rows = np.array([len(places) - 1], np.int32)
        logits = torch.from_numpy(self.runner.logits(_native_step(pieces, rows)))
        s, first = self.settings, pieces[0]
        # a step's rows follow from the corpus alone: stopped and gone on, the same are drawn
        seed = (s.seed << 40) ^ int(self.corpus.starts[first.document] + first.begin)
        found = kept_logits.drawn(
            logits,
            top=s.top,
            draws=s.draws,
            temperature=s.temperature,
            generator=torch.Generator().manual_seed(seed % (1 << 63)),
        )
        mine = places[rows]
        for name, values in zip(("top_ids", "top", "drawn"), found, strict=True):
            self.arrays[name][mine] = values.numpy()


def _native_step(pieces: Sequence[Piece], rows: NDArray[np.int32]) -> Step:
    """Sequences of one step lie on pages one after the other; a long one is alone on them."""
    needed = [-(-(p.begin + len(p.ids)) // PAGE) for p in pieces]
    had = [-(-p.begin // PAGE) for p in pieces]
    tables = np.full((len(pieces), max(needed)), -1, np.int32)
    ends = np.cumsum(needed)
    fresh = []
    for table, count, before, end in zip(tables, needed, had, ends, strict=True):
        table[:count] = np.arange(end - count, end)
        fresh.append(table[before:count])
    lengths = [len(p.ids) for p in pieces]
    return Step(
        tokens=np.concatenate([p.ids for p in pieces]),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        positions=np.array([p.begin for p in pieces], np.int32),
        tables=tables,
        fresh=np.concatenate(fresh),
        rows=rows,
        sampling=NOTHING,
    )


def _check(corpus: Corpus, teacher: Path, runner: NativeRunner, settings: Settings) -> None:
    theirs = sha256((teacher / "tokenizer.json").read_text("utf-8"))
    if corpus.about.get("tokenizer") != theirs:
        raise InputError(
            f"{corpus.path} was packed with another tokenizer than {teacher.name} has; pack it with"
            f" `farthing learn data pack --tokenizer {teacher}`, or distil by the teacher's text"
        )
    sizes = np.diff(corpus.starts) - 1
    room = min(runner.max_context, runner.pages * PAGE)
    if sizes.max() > room:
        at = int(sizes.argmax())
        raise InputError(
            f"document {at} of {corpus.path} has {sizes[at]} tokens, and {teacher.name} reads"
            f" {room}; split it"
        )
    if settings.top < 1 or settings.draws < 0 or settings.temperature <= 0:
        raise InputError(
            f"top is {settings.top}, draws {settings.draws}, temperature {settings.temperature};"
            " expected 1 or more, 0 or more, and above 0"
        )
    if settings.top >= runner.vocabulary:
        raise InputError(f"top is {settings.top}, and there are {runner.vocabulary} tokens")


def _before(path: Path, about: dict[str, Any]) -> tuple[int, float]:
    """Documents done by a run that was stopped, and its seconds."""
    if not path.exists():
        return 0, 0.0
    try:
        found = json.loads(path.read_bytes())
        if found["about"] != about:
            raise InputError(
                f"{path.parent} was begun with another corpus, teacher or settings; remove it, or"
                " choose another folder"
            )
        return int(found["documents"]), float(found["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged ({error}); remove {path.parent}") from None


def _note(
    path: Path, arrays: dict[str, Mapped], about: dict[str, Any], done: int, seconds: float
) -> None:
    for array in arrays.values():
        array.flush()
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"about": about, "documents": done, "seconds": seconds}))
    draft.replace(path)
