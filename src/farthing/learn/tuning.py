"""A tuning run in its folder: begun or taken up, stepped, saved, and its adapter written.

OUT/
  recipe.toml                 the settings, the model and the data
  tokenizer/                  the model's own
  log.jsonl                   one line a step
  step-00000120/              checkpoints; a killed run goes on from the last to the same bits
  adapter_model.safetensors   at the end, with adapter_config.json: as PEFT has them
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
import tomlkit
import torch

from farthing import machine
from farthing.errors import DiskFull, InputError
from farthing.learn import adapter_write, base, checkpoint, facts, place, run
from farthing.learn.documents import Document
from farthing.learn.journal import Journal, Line
from farthing.learn.live import duration
from farthing.learn.pack import Packer
from farthing.learn.place import LOG, RECIPE, claim
from farthing.learn.run import DTYPES
from farthing.learn.sources import Sources
from farthing.learn.tune import Settings, Tune
from farthing.learn.whole_rows import Document as Ids
from farthing.tokenizer import Tokenizer

TOKENIZER = "tokenizer"
SAVED = 300.0
"""Seconds between checkpoints."""


class Tuning:
    """Opened, it stands at `tune.done` steps of `tune.steps`. `notes` are for its user to know."""

    def __init__(
        self,
        model: Path,
        data: Sequence[Path],
        folder: Path,
        settings: Settings,
        *,
        resume: bool = False,
        threads: int = 0,
        spelled: float = 1.0,
    ) -> None:
        """`spelled`: see pack. Raises NotFound, FormatError, InputError for what is given."""
        sources = Sources(data)
        told = {"model": str(model), "data": [str(path) for path in data]}
        self.folder, self.model, self.spelled = folder, model, spelled
        self._lock = claim(folder, resume=resume)
        with ExitStack() as failed:
            failed.callback(self.close)
            self._open(sources, settings, threads)
            # only now: what was refused leaves the folder as it was
            place.write(
                folder / RECIPE, tomlkit.dumps(told | msgspec.to_builtins(settings)).encode()
            )
            self.base.tokenizer(folder / TOKENIZER)
            failed.pop_all()
        self.journal, self._before = Journal.open(folder / LOG, self.tune.done)
        self._began = self._saved = perf_counter()

    def _open(self, sources: Sources, settings: Settings, threads: int) -> None:
        checkpoint.clean(self.folder)
        found = checkpoint.saved(self.folder)
        state = checkpoint.load(found[-1]) if found else None
        before = state.run.get("threads", 0) if state else 0
        run.prepare(threads or before or machine.cores().usable)
        self.base = base.read(self.model, DTYPES[settings.dtype], quantized=settings.quantized)
        with TemporaryDirectory() as scratch:
            tokenizer = Tokenizer.open(self.base.tokenizer(Path(scratch)))
            documents = list(tokens(tokenizer, sources, self.spelled))
        self.tune = Tune(self.base, documents, settings)
        self.notes = list[str]()
        if state:
            self.notes = facts.changed(facts.bits(torch.get_num_threads()), state.run)
            self.tune.resume(state)

    def close(self) -> None:
        """Lets another have the folder."""
        os.close(self._lock)

    @property
    def elapsed(self) -> float:
        return self._before + perf_counter() - self._began

    def go(
        self, stop: Callable[[], bool], tell: Callable[[Line], None], note: Callable[[str], None]
    ) -> bool:
        """To the end, where the adapter is written, or until `stop` says so after a step; saved
        either way. Returns whether the end was reached."""
        tune = self.tune
        while tune.done < tune.steps and not stop():
            told = tune.step()
            line = asdict(told) | {"elapsed": round(self.elapsed, 3)}
            if error := self.journal.write(line):
                note(
                    f"log.jsonl can't be written ({error.strerror}); it is tried again at each step"
                )
            tell(line)
            if perf_counter() - self._saved > SAVED and tune.done < tune.steps:
                self._saved = perf_counter()
                try:
                    tune.save(self.folder)
                except DiskFull as full:
                    note(f"{full}; the run goes on")
        tune.save(self.folder)
        if tune.done < tune.steps:
            return False
        adapter_write.write(self.folder, tune.adapter, base=str(self.model))
        return True

    def opening(self) -> str:
        """What is about to be done, for people."""
        tune = self.tune
        learns = sum(p.numel() for p in tune.parameters.values())
        begins = f"goes on at step {tune.done}" if tune.done else "begins"
        epochs = "epoch" if tune.settings.epochs == 1 else "epochs"
        return (
            f"tuning {self.model.name} {begins}: {learns / 1e6:.2f} M numbers learn beside"
            f" {self.base.bytes / 1e6:.0f} MB that stay; {len(tune.rows.documents):,} documents in"
            f" {len(tune.rows.rows):,} rows of {tune.settings.epochs} {epochs}, {tune.steps} steps"
        )

    def live(self) -> "Live":
        return Live(self.tune.steps)


class Live:
    """The run in a line: `told` after every step."""

    def __init__(self, steps: int) -> None:
        self.steps, self.lines = steps, list[Line]()

    def told(self, line: Line) -> None:
        self.lines = [*self.lines[-19:], line]

    def text(self) -> str:
        last, seconds = self.lines[-1], sum(line["seconds"] for line in self.lines)
        speed = sum(line["tokens"] for line in self.lines) / seconds
        left = seconds / len(self.lines) * (self.steps - last["step"])
        return (
            f"step {last['step']}/{self.steps}  loss {last['loss']:.3f}  {speed:,.0f} tokens/s"
            f"  {duration(left)} left"
        )


def tokens(
    tokenizer: Tokenizer, documents: Sources | Sequence[Document], spelled: float
) -> Iterator[Ids]:
    """Each document's ids, and what is learned: of a chat what the assistant says, all of a text.

    Raises InputError as `pack` does, and for a chat in which no assistant speaks.
    """
    texts = Packer(tokenizer, most=spelled)
    chats = Packer(tokenizer, answers_only=True, most=spelled)

    def heard(document: Document) -> Document:
        if document.text is None and "assistant" not in roles(document):
            raise InputError(
                f"a chat in which no assistant speaks ({document.body[:60]!r} ...) teaches nothing;"
                " remove it"
            )
        return document

    for is_text, some in groupby(documents, lambda document: document.text is not None):
        packer = texts if is_text else chats
        yield from packer.packed(map(heard, some))


def roles(document: Document) -> set[str]:
    return {message.role for message in document.messages or ()}
