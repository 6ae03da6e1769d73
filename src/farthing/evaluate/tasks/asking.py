"""Questions as token ids: plain text to go on with, or a turn of a chat."""

import json
from collections.abc import Sequence
from hashlib import sha256

from farthing.errors import InputError
from farthing.evaluate.tasks.types import Ids, Pair
from farthing.tokenizer import Tokenizer

PLAIN = "Question: {question}\nAnswer:"
CHAT = "{question}"


def form(chosen: str | None, *, chat: bool) -> str:
    """How a question is put: as chosen, or as usual."""
    if chosen is None:
        return CHAT if chat else PLAIN
    return chosen


def put(question: str, form: str) -> str:
    return form.replace("{question}", question)


def prompt(tokenizer: Tokenizer, text: str, *, chat: bool) -> Ids:
    """Ids of what the model is to answer, or to go on with. InputError without a template."""
    if chat:
        return tokenizer.chat([{"role": "user", "content": text}])
    return tokenizer.encode(text, add_special=True)


def pair(tokenizer: Tokenizer, text: str, answer: str, *, chat: bool) -> Pair:
    """An answer whose likelihood is asked, after a text.

    Plain texts are encoded together with the answer, a space between them, and cut where the
    text's own ids end: or before it, where a token would lie across.
    """
    if chat:
        return Pair(prompt(tokenizer, text, chat=True), tokenizer.encode(answer))
    alone = prompt(tokenizer, text, chat=False)
    whole = tokenizer.encode(f"{text} {answer}", add_special=True)
    return cut(alone, whole)


def cut(alone: Ids, whole: Ids) -> Pair:
    """A text and what follows it, encoded together, cut where the text's own ids end or differ.

    Neither part is empty. Raises InputError where they are one token together.
    """
    if len(whole) < 2:
        raise InputError(
            f"a question and its answer are {len(whole)} token together; give a longer question"
        )
    at = max(1, min(_alike(alone, whole), len(whole) - 1))
    return Pair(whole[:at], whole[at:])


def digest(*asked: object) -> str:
    """sha256 of what was asked and how, as JSON."""
    return sha256(json.dumps(asked, ensure_ascii=True).encode()).hexdigest()


def _alike(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids they begin alike with."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
