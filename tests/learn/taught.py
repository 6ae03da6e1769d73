"""A small teacher with its tokenizer, a corpus in it, and students. Shared by tests here."""

import json
from pathlib import Path

from toy_run import DENSE, SPARSE, recipe
from tuned_models import VOCABULARY, source

from farthing import store
from farthing.learn import pack
from farthing.learn.documents import Document, parse

WORDS = "abcdefghijklmnop"
STUDENT = SPARSE | {"vocab_size": VOCABULARY}
DENSE_STUDENT = DENSE | {"vocab_size": VOCABULARY, "max_position_embeddings": 512}


def teacher(at: Path, family: str = "llama") -> Path:
    """The packed folder, in FARTHING_HOME; its Hugging Face folder is `at`."""
    source(at, family)
    return store.pull(str(at)).model.folder


def corpus(at: Path, tokenizer: Path, *, answers_only: bool = False, count: int = 12) -> Path:
    documents = [
        Document(text=WORDS[i % 16] * (20 + 31 * i % 300)) if not answers_only else chat(i)
        for i in range(count)
    ]
    pack.write(at, documents, tokenizer, answers_only=answers_only, most=1.0, about={})
    return at


def chat(i: int) -> Document:
    told = [("user", f"say {WORDS[i % 16]}"), ("assistant", WORDS[i % 16] * (i + 2))]
    line = {"messages": [{"role": role, "content": content} for role, content in told]}
    return parse(json.dumps(line).encode(), "a test")


def taught(folder: Path, **changed: object) -> Path:
    """A recipe beside corpora that are there already."""
    defaults: dict[str, object] = {
        "model": STUDENT,
        "dtype": "fp32",
        "data": {"length": 32, "train": [{"path": "train"}], "held_out": []},
        "evaluate": {"steps": 1000},
    }
    return recipe(folder, **(defaults | changed))
