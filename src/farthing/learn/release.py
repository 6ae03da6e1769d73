"""A run's folder made into a published one: the checkpoint, the card, and where all of it lies."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farthing.config import settings
from farthing.errors import FormatError, InputError, NotFound
from farthing.formats.hf import SINGLE, read_object, read_text
from farthing.learn import checkpoint, evaluations, journal, kept_logits, model_card, publish
from farthing.learn import recipe as recipes
from farthing.learn.adapter import WEIGHTS
from farthing.learn.corpus import Corpus
from farthing.learn.model_card import Made
from farthing.learn.place import FACTS, LOG, RECIPE
from farthing.learn.rebuilding import ordered
from farthing.learn.tokenizer import sha256
from farthing.meter.settings import machine_price

README = "README.md"


class Release:
    """What `write` needs of a run, found and checked. `notes` tell what was not found."""

    def __init__(
        self,
        run: Path,
        *,
        recipe: Path | None = None,
        step: int | None = None,
        tokenizer: Path | None = None,
    ) -> None:
        """Raises NotFound, InputError or FormatError naming what is missing or does not belong."""
        self.run, self.notes = run, list[str]()
        if (run / WEIGHTS).is_file():
            raise InputError(
                f"{run} holds an adapter: `farthing learn merge MODEL {run} -o FOLDER` writes the"
                " model with it"
            )
        self.path = recipe or run / RECIPE
        self.recipe = recipes.read(self.path)
        found = run / f"step-{step:08}" if step is not None else checkpoint.newest(run)
        if not found.is_dir():
            have = ", ".join(str(int(one.name[5:])) for one in checkpoint.saved(run))
            raise NotFound(f"{run} has no checkpoint of step {step}; it has {have or 'none'}")
        self.checkpoint = checkpoint.load(found)
        if self.checkpoint.run.get("recipe") != self.recipe.identity:
            raise InputError(
                f"{self.path} is not the recipe of this run: it decides other weights; give the one"
                f" that {run} was begun with"
            )
        self.tokenizer = tokenizer or self.path.parent / self.recipe.data.tokenizer
        if not self.tokenizer.is_dir():
            raise NotFound(
                f"{self.tokenizer} is not there, where the recipe has its tokenizer; give"
                " --recipe PATH of the recipe that the run was begun with, or --tokenizer"
            )

    @property
    def step(self) -> int:
        return self.checkpoint.step

    def write(
        self,
        into: Path,
        *,
        measured: Sequence[Path] = (),
        licence: str | None = None,
        about: Path | None = None,
        rebuild: Path | None = None,
        copies: bool = False,
        typed: str = "",
    ) -> Path:
        """A new folder, whole or not there. `typed` is the command that asks for it."""
        corpora = self._corpora()
        commands = [read_text(rebuild).strip()] if rebuild else self._commands(corpora, typed)
        card = {
            "evaluations": [evaluations.read(path) for path in measured],
            "licence": licence,
            "about": read_text(about) if about else "",
            "commands": commands,
        }

        def further(draft: Path) -> Mapping[str, str]:
            files = {name: draft / name for name in (SINGLE,)}
            files["tokenizer.json"] = self.tokenizer / "tokenizer.json"
            return {
                README: model_card.text(self._made(corpora, files, **card)),
                RECIPE: read_text(self.path),
            }

        return publish.folder(
            self.recipe.model,
            self.checkpoint.weights(),
            self.tokenizer,
            into,
            copies=copies,
            further=further,
        )

    def _logits(self) -> list[Mapping[str, Any]]:
        """What is said of a teacher's logits that were kept."""
        paths = [
            self.path.parent / source.logits / kept_logits.ABOUT
            for source in self.recipe.data.train
            if source.logits is not None
        ]
        return [read_object(path) for path in paths if path.is_file()]

    def _made(
        self, corpora: Mapping[str, Corpus | None], files: Mapping[str, Path], **card: Any
    ) -> Made:
        log = [line for line in journal.lines(self.run / LOG) if line["step"] <= self.step]
        if not log or log[-1]["step"] != self.step:
            raise FormatError(f"{self.run / LOG} has no line of step {self.step}; it was cut short")
        return Made(
            name=self.recipe.name,
            recipe=self.recipe,
            source=read_text(self.path),
            step=self.step,
            facts=read_object(self.run / FACTS),
            log=log,
            corpora=corpora,
            price=machine_price(settings(), os.environ),
            files=files,
            **card,
        )

    def _corpora(self) -> dict[str, Corpus | None]:
        found: dict[str, Corpus | None] = {}
        digest = sha256(read_text(self.tokenizer / "tokenizer.json"))
        for source in (*self.recipe.data.train, *self.recipe.data.held_out):
            path = self.path.parent / source.path
            try:
                found[source.path] = corpus = Corpus.open(path)
            except NotFound:
                found[source.path] = None
                self.notes.append(f"{path} is not there: the card can't tell what was in it")
                continue
            if corpus.about.get("tokenizer", digest) != digest:
                raise InputError(
                    f"{path} was packed with another tokenizer than {self.tokenizer}: the model"
                    " would read other tokens than it learned; give the one it was packed with"
                )
        return found

    def _commands(self, corpora: Mapping[str, Corpus | None], typed: str) -> list[str]:
        """What data, tokenizer and corpora say they were made by, then the run and this."""
        abouts = [corpus.about for corpus in corpora.values() if corpus]
        path = self.tokenizer / "about.json"
        about = read_object(path) if path.is_file() else {}
        cards = [card for one in (about, *abouts) for card in _cards(one.get("data", ()))]
        facts, verb = read_object(self.run / FACTS), "distil" if self.recipe.teacher else "pretrain"
        train = [*_launched(facts), "farthing", "learn", verb, str(self.path), "-o", str(self.run)]
        train += ["--threads", str(facts["threads"])]
        found = [one["made_by"] for one in cards if " -" in one["made_by"]]
        found += [one.get("command") for one in (about, *abouts, *self._logits())]
        return ordered([*filter(None, found), shlex.join(train), typed])


def _launched(facts: Mapping[str, Any]) -> list[str]:
    """What stands before the command where several processes made the run."""
    machines, processes = facts.get("machines", 1), facts.get("processes", 1)
    if processes == 1:
        return []
    nodes = ["--nnodes", str(machines)] if machines > 1 else []
    return ["torchrun", *nodes, "--nproc-per-node", str(processes // machines), "--no-python"]


def _cards(sources: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of data sets, those that they were made from first."""
    cards = [source["card"] for source in sources if source.get("card")]
    return [one for card in cards for one in (*_cards(card.get("parents", ())), card)]
