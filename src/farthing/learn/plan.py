"""A recipe with the data it names, both looked at before anything is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from farthing.errors import InputError
from farthing.learn import facts, recipe
from farthing.learn.corpus import Corpus
from farthing.learn.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    folder: Path
    """The recipe's own, which its paths are relative to."""

    text: bytes
    recipe: Recipe
    train: list[Corpus]
    held_out: dict[str, Corpus]
    """By their paths in the recipe."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """NotFound, InputError or FormatError: a recipe or a corpus that is missing or wrong, a
        model too large for the machine, tokens that it does not know."""
        found = recipe.read(path)
        facts.fits(found)

        def opened(name: str) -> Corpus:
            return _known(Corpus.open(path.parent / name), found.model)

        train = [opened(source.path) for source in found.data.train]
        held_out = {source.path: opened(source.path) for source in found.data.held_out}
        return cls(path.parent, path.read_bytes(), found, train, held_out)


def _known(corpus: Corpus, config: dict[str, Any]) -> Corpus:
    largest, vocabulary = int(corpus.tokens.max()), config["vocab_size"]
    if largest >= vocabulary:
        raise InputError(
            f"{corpus.path} has token {largest}, and the model's vocab_size is {vocabulary}; pack"
            " it with the recipe's own tokenizer, or correct vocab_size"
        )
    return corpus
