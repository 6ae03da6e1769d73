"""A recipe's data is looked at before anything is trained on it: one tokenizer made all of it."""

import json
from pathlib import Path

import pytest
import toy_run

from farthing.errors import FormatError, InputError, NotFound
from farthing.learn.corpus import Corpus
from farthing.learn.plan import Plan
from farthing.learn.tokenizer import sha256


def packed_with(corpus: Path, tokenizer: str) -> None:
    path = corpus / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"tokenizer": tokenizer}))


@pytest.mark.parametrize("odd", ["train", "held"])
def test_corpora_of_two_tokenizers_are_refused(odd: str, tmp_path: Path) -> None:
    """Each token would mean two things, and no loss would tell."""
    recipe = toy_run.recipe(tmp_path)
    for name in ("train", "held"):
        packed_with(tmp_path / name, "other" if name == odd else "one")
    with pytest.raises(InputError, match=r"packed with another tokenizer than .*train"):
        Plan.read(recipe)


def test_corpora_of_another_tokenizer_than_the_recipe_names_are_refused(tmp_path: Path) -> None:
    """Publishing would refuse it, when all was trained."""
    recipe = toy_run.recipe(tmp_path, data={"held_out": []})
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    packed_with(tmp_path / "train", "other")
    with pytest.raises(InputError, match=r"train was packed with another tokenizer than .*tokeniz"):
        Plan.read(recipe)

    packed_with(tmp_path / "train", sha256("{}"))
    assert Plan.read(recipe).train


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"version": 1'])
def test_what_is_no_corpus_is_named(text: str, tmp_path: Path) -> None:
    toy_run.recipe(tmp_path)
    (tmp_path / "train" / "corpus.json").write_text(text)
    with pytest.raises(FormatError, match=r"train/corpus\.json"):
        Corpus.open(tmp_path / "train")


def test_a_file_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("{}")
    with pytest.raises(NotFound, match="holds no corpus"):
        Corpus.open(tmp_path / "data.jsonl")
