"""Whether an answer is right, by a program: what was asked for, not a likeness of it."""

import json
import re
import unicodedata
from collections.abc import Mapping

from farthing.errors import InputError
from farthing.learn.documents import Document
from farthing.learn.tasks.types import Sample

STEPS = re.compile(r"=.*: ?(-?\d+)\s*\Z", re.DOTALL)
"""7+5=12, 4+8+1=13: 132"""
LONGEST = 10_000
"""Characters of an answer; longer ones are wrong."""


def check(record: Sample | Document | Mapping[str, object], text: str) -> bool:
    """Whether `text` answers a sample, or a record with its "answer".

    JSON is compared as values, an answer in steps by the number after the last colon, all else as
    text, but for spaces, a last full stop, and how wide its characters are.
    Raises InputError for a record without an answer.
    """
    answer = _answer(record)
    if len(text) > LONGEST:
        return False
    if answer.startswith(("{", "[")):
        return _json(text) == _json(answer) != NO_JSON
    if (steps := STEPS.search(answer)) is not None:
        found = STEPS.search(text)
        return found is not None and found[1] == steps[1]
    return plain(text) == plain(answer)


def plain(text: str) -> str:
    """Without what two right answers may differ by."""
    text = unicodedata.normalize("NFKC", text).strip()
    return re.sub(r"\s+", " ", text).removesuffix(".").removesuffix("。").strip()


NO_JSON = object()


def _json(text: str) -> object:
    """The value; NO_JSON where it is none. Keys that stand twice make it none."""
    text = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return NO_JSON


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _answer(record: Sample | Document | Mapping[str, object]) -> str:
    answer = record.get("answer") if isinstance(record, Mapping) else record.answer
    if not isinstance(answer, str) or not answer.strip():
        raise InputError(f"the record's answer is {answer!r:.60}; a text was expected")
    return answer
