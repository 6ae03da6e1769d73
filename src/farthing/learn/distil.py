"""Learning from a teacher's probabilities: asked while training, or kept from before.

The main loss of a pass becomes (1 - w) cross-entropy + w t^2 divergence, both over the tokens that
are learned; a next-token head still learns what the text says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farthing import models, ops, store
from farthing.errors import InputError
from farthing.learn import base, divergence, facts
from farthing.learn.adapted import Adapted
from farthing.learn.batches import Batch, Rows
from farthing.learn.corpus import Corpus
from farthing.learn.cross_entropy import Logits
from farthing.learn.divergence import Loss
from farthing.learn.frozen import Frozen
from farthing.learn.kept_logits import Kept
from farthing.learn.losses import NoCache, Objective, Step
from farthing.learn.recipe import Recipe, Teacher
from farthing.learn.run import DTYPES
from farthing.learn.tokenizer import sha256
from farthing.store.digest import sha256_of


@dataclass(frozen=True, slots=True)
class Online:
    """A teacher's page on torch tensors that don't learn."""

    config: Mapping[str, Any]
    weights: Mapping[str, Frozen]

    def logits(self, batch: Batch) -> Logits:
        """Of all tokens, not multiplied yet."""
        step = Step(batch.tokens.flatten(), batch.positions.flatten())
        cache = NoCache((None,) * int(self.config["num_hidden_layers"]))
        with torch.no_grad(), ops.reading(Adapted(batch)):
            page: Any = models.load(self.config, self.weights)
            found: Logits = page.answer(page.final(page.stream(step, cache)))
        return found


@dataclass(frozen=True, slots=True)
class Teaching:
    """`objective(batch)` is the main loss of that batch. `told` is what a checkpoint remembers."""

    teacher: Teacher
    told: list[str]
    loss: Callable[[Batch, Tensor], Loss]
    """Of a batch's tokens [T'] that are learned."""

    def objective(self, batch: Batch) -> Objective:
        def objective(logits: Logits, targets: Tensor, learned: Tensor) -> Tensor:
            mine = learned.nonzero().squeeze(1)
            weight = self.teacher.weight
            parts = [(weight, self.loss(batch, mine))] if weight else []
            parts.append((1 - weight, divergence.said(targets[mine])))
            return divergence.over(Logits(logits.x[mine], logits.weight), divergence.mixed(parts))

        return objective


def teaching(recipe: Recipe, folder: Path, corpora: Sequence[Corpus], rows: Rows) -> Teaching:
    """What recipe.teacher says; folder: the recipe's own, that paths are relative to.

    Raises InputError if the vocabularies differ or kept logits are of something else; NotFound,
    FormatError for the teacher.
    """
    teacher = recipe.teacher
    assert teacher is not None
    if teacher.model is None:
        return _kept(recipe, teacher, folder, corpora, rows)
    asked = folder / teacher.model
    path = asked if asked.exists() else store.find(teacher.model).folder
    return _online(recipe, teacher, path, corpora)


def _kept(
    recipe: Recipe, teacher: Teacher, folder: Path, corpora: Sequence[Corpus], rows: Rows
) -> Teaching:
    kept = [Kept.open(folder / str(source.logits)) for source in recipe.data.train]
    vocabulary = int(recipe.model["vocab_size"])
    for one, corpus in zip(kept, corpora, strict=True):
        one.fits(facts.digest(corpus), vocabulary, teacher.temperature)

    def loss(batch: Batch, mine: Tensor) -> Loss:
        of_rows = [rows.places(row) for row in batch.rows.tolist()]
        found = [kept[which].shares(places) for which, places in of_rows]
        # one teacher may have kept more tokens than another
        width = max(ids.shape[1] for ids, _ in found)
        ids, shares = (
            torch.cat([F.pad(pair[i], (0, width - pair[i].shape[1])) for pair in found])
            for i in (0, 1)
        )
        return divergence.kept(ids[mine], shares[mine], teacher.temperature)

    return Teaching(teacher, [one.identity for one in kept], loss)


def _online(recipe: Recipe, teacher: Teacher, path: Path, corpora: Sequence[Corpus]) -> Teaching:
    found = base.read(path, DTYPES[recipe.dtype])
    theirs, mine = int(found.config["vocab_size"]), int(recipe.model["vocab_size"])
    if theirs != mine:
        raise InputError(
            f"the teacher {path.name} has {theirs} tokens, and the model {mine}; give the student"
            " the teacher's tokenizer and vocab_size, or distil by the teacher's text"
        )
    tokenizer = sha256(found.texts["tokenizer.json"])
    for corpus in corpora:
        if corpus.about.get("tokenizer") != tokenizer:
            raise InputError(
                f"{corpus.path} was packed with another tokenizer than the teacher's; pack it with"
                f" --tokenizer {path}, or distil by the teacher's text"
            )
    online = Online(found.config, found.weights)
    make = divergence.forward if teacher.divergence == "forward" else divergence.reverse

    def loss(batch: Batch, mine: Tensor) -> Loss:
        logits = online.logits(batch)
        x = logits.x[mine]
        return make(lambda some: x[some] @ logits.weight.T, teacher.temperature)

    return Teaching(teacher, [_identity(path)], loss)


def _identity(path: Path) -> str:
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return sha256_of(files)
