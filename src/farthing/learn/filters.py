"""What a text must be to be trained on: each filter looks at one document, and says why not.

Length, repetition and language are asked of prose alone; of a task, which has an answer that a
program knows, it is asked whether what was written is right.
"""

import re
from collections import Counter
from typing import Any, Protocol

import numpy as np

from farthing.errors import InputError
from farthing.learn import grams, tasks
from farthing.learn.documents import Document, Message

COMMON = """
the of and to a in is it you that he was for on are with as i his they be at one have this from or
had by not but what all were we when your can said there an each which she do how their if will up
other about out many then them these so some her would him has its
"""


class Filter(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> dict[str, Any]: ...

    def __call__(self, document: Document) -> Document | str:
        """The document, changed or not; or why it is dropped."""


class Characters:
    """Drops what no keyboard writes, and texts that are mostly signs."""

    name = "characters"
    BAD = re.compile(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ue000-\uf8ff\u202a-\u202e\u2066-\u2069]"
    )
    LONG = re.compile(r"\w{50,}", re.ASCII)
    SIGN = re.compile(r"[^\w\s]")

    def __init__(self, most_signs: float = 0.25) -> None:
        self.most_signs = most_signs
        self.settings = {"most_signs": most_signs}

    def __call__(self, document: Document) -> Document | str:
        text = document.body
        if found := self.BAD.search(text):
            return f"holds U+{ord(found[0]):04X}"
        if document.answer is not None:
            return document
        if self.LONG.search(text):
            return "a word of 50 letters or more"
        if len(self.SIGN.findall(text)) > self.most_signs * len(text):
            return "mostly signs"
        return document


class Ends:
    """A text that was cut off ends with its last whole sentence, or is dropped."""

    name = "ends"
    END = re.compile(r"[.!?。！？…][\"'”’)\]」』]*(?=\s|$|(?<=[。！？]))")

    def __init__(self, drop: bool = False) -> None:
        self.drop = drop
        self.settings = {"cut_off": "dropped" if drop else "trimmed"}

    def __call__(self, document: Document) -> Document | str:
        if document.finish != "length" or document.answer is not None:
            return document
        text = document.written
        ends = [found.end() for found in self.END.finditer(text)]
        if self.drop or not ends:
            return "cut off"
        return rewritten(document, text[: ends[-1]])


class Length:
    name = "length"

    def __init__(self, least: int = 40, most: int = 4000) -> None:
        if not 0 <= least <= most:
            raise InputError(f"texts of {least} to {most} words are none; expected least <= most")
        self.least, self.most = least, most
        self.settings = {"least_words": least, "most_words": most}

    def __call__(self, document: Document) -> Document | str:
        if document.answer is not None:
            return document
        count = len(grams.words(document.written))
        if count < self.least:
            return f"under {self.least} words"
        return f"over {self.most} words" if count > self.most else document


class Repetition:
    """The limits of Gopher (Rae et al., 2112.11446, table A1), by words instead of characters."""

    name = "repetition"
    LINES = 0.30
    """Of all lines, those that stood before."""

    COMMONEST = ((2, 0.20), (3, 0.18), (4, 0.16))
    """Of all words, those in the commonest run of n words."""

    REPEATED = tuple(zip(range(5, 11), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10), strict=True))
    """Of all words, those in runs of n words that occur more than once."""

    def __init__(self, strictness: float = 1.0) -> None:
        """Limits are divided by `strictness`: below 1 more is let through."""
        if strictness <= 0:
            raise InputError(f"strictness is {strictness:g}; expected a number above 0")
        self.strictness = strictness
        self.settings = {"strictness": strictness}

    def __call__(self, document: Document) -> Document | str:
        if document.answer is not None:
            return document
        text = document.written
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) > 3 and 1 - len(set(lines)) / len(lines) > self.LINES / self.strictness:
            return "repeated lines"
        hashes = grams.hashed(grams.words(text))
        for n, most in self.COMMONEST:
            if commonest(hashes, n) > most / self.strictness:
                return f"one run of {n} words again and again"
        for n, most in self.REPEATED:
            if repeated(hashes, n) > most / self.strictness:
                return f"runs of {n} words again and again"
        return document


class Language:
    """By letters, and in English by its commonest words. Documents that don't say their language
    are held to `expected`; if that is None, they pass."""

    name = "language"
    ENGLISH = frozenset(COMMON.split())
    LEAST = 0.12
    """Of all English words, how many are of the commonest."""

    CJK = re.compile(f"[{grams.CJK}]")
    LATIN = re.compile(r"[A-Za-z]")
    LETTER = re.compile(r"[^\W\d_]")
    KNOWN = ("en", "zh")

    def __init__(self, expected: str | None = None) -> None:
        if expected is not None and expected not in self.KNOWN:
            raise InputError(
                f"language {expected!r} is not known; known are {', '.join(self.KNOWN)}"
            )
        self.expected = expected
        self.settings = {"expected": expected}

    def __call__(self, document: Document) -> Document | str:
        wanted = document.language if document.language in self.KNOWN else None
        wanted = self.expected or wanted
        if document.answer is not None or wanted is None:
            return document
        if document.language not in (None, wanted):
            return f"not in {wanted}"
        text = document.written
        letters = len(self.LETTER.findall(text))
        script = self.CJK if wanted == "zh" else self.LATIN
        share = len(script.findall(text)) / max(letters, 1)
        if share < (0.5 if wanted == "zh" else 0.9):
            return f"not in {wanted}"
        if wanted == "en":
            found = grams.words(text)
            common = sum(word in self.ENGLISH for word in found)
            if common < self.LEAST * len(found):
                return "not in en"
        return document


class Phrases:
    """Drops what a model says of itself instead of an answer."""

    name = "phrases"
    SAYS = re.compile(
        r"\bas an? (ai|artificial intelligence|(large )?language model)\b"
        r"|\bi('m| am) an? (ai|artificial intelligence|(large )?language model)\b"
        r"|\bi('m| am) sorry,? (but )?i('m| am| can't| cannot) "
        r"|\bi (can't|cannot) (assist|help) (you )?with"
        r"|\bas your (ai|digital|virtual) assistant"
        r"|\bmy (training data|knowledge cutoff)"
        r"|作为(一个)?(人工智能|语言模型|AI)",
        re.IGNORECASE,
    )

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def __call__(self, document: Document) -> Document | str:
        if self.SAYS.search(document.written.replace("’", "'")):
            return "speaks of itself as a model"
        return document


class Answers:
    """Drops wrong answers to tasks."""

    name = "answers"

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def __call__(self, document: Document) -> Document | str:
        if document.answer is None:
            return document
        if not document.answer.strip():
            return "a task without an answer"
        return document if tasks.check(document, document.written) else "wrong answer"


def rewritten(document: Document, text: str) -> Document:
    """With another text where its writer wrote; it ends as it stands."""
    if document.messages is None:
        return changed(document, text=text, finish="trimmed")
    place = max(i for i, one in enumerate(document.messages) if one.role == "assistant")
    messages = list(document.messages)
    messages[place] = Message("assistant", text)
    return changed(document, messages=tuple(messages), finish="trimmed")


def changed(document: Document, **fields: Any) -> Document:
    held = {name: getattr(document, name) for name in document.__struct_fields__}
    return Document(**(held | fields))


def commonest(hashes: grams.Hashes, n: int) -> float:
    """Share of all words that the commonest run of n words takes, if it occurs more than twice."""
    found = grams.grams(hashes, n)
    if not len(found):
        return 0.0
    most = Counter(found.tolist()).most_common(1)[0][1]
    return most * n / len(hashes) if most > 2 else 0.0


def repeated(hashes: grams.Hashes, n: int) -> float:
    """Share of all words that stand in a run of n words which occurs more than once."""
    found = grams.grams(hashes, n)
    if not len(found):
        return 0.0
    _, inverse, counts = np.unique(found, return_inverse=True, return_counts=True)
    again = counts[inverse] > 1
    if not again.any():
        return 0.0
    covered = np.convolve(again, np.ones(n, np.int64)) > 0
    return float(covered.mean())
