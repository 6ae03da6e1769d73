"""A recipe with the data it names, both looked at before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from farthing.errors import InputError
from farthing.formats.hf import TOKENIZER, read_text
from farthing.learn import facts, recipe
from farthing.learn.corpus import Corpus
from farthing.learn.recipe import Recipe
from farthing.learn.tokenizer import sha256


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
        model too large for the machine, tokens that it does not know, or of two tokenizers."""
        found = recipe.read(path)
        facts.fits(found)

        def opened(name: str) -> Corpus:
            return _known(Corpus.open(path.parent / name), found.model)

        train = [opened(source.path) for source in found.data.train]
        held_out = {source.path: opened(source.path) for source in found.data.held_out}
        _one_tokenizer([*train, *held_out.values()], path.parent / found.data.tokenizer)
        return cls(path.parent, path.read_bytes(), found, train, held_out)


def _known(corpus: Corpus, config: dict[str, Any]) -> Corpus:
    largest, vocabulary = int(corpus.tokens.max()), config["vocab_size"]
    if largest >= vocabulary:
        raise InputError(
            f"{corpus.path} has token {largest}, and the model's vocab_size is {vocabulary}; pack"
            " it with the recipe's own tokenizer, or correct vocab_size"
        )
    return corpus


def _one_tokenizer(corpora: Sequence[Corpus], tokenizer: Path) -> None:
    """Of all corpora that say theirs; the recipe's own, where that is at hand."""
    text = tokenizer / TOKENIZER[0]
    made = {text.parent: sha256(read_text(text))} if text.is_file() else {}
    made |= {one.path: one.about["tokenizer"] for one in corpora if "tokenizer" in one.about}
    for path, digest in made.items():
        first, theirs = next(iter(made.items()))
        if digest != theirs:
            raise InputError(
                f"{path} was packed with another tokenizer than {first}: one number would mean two"
                f" things; pack all of it with --tokenizer {tokenizer}"
            )
