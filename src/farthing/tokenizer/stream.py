"""Ids to text as they come: whole characters only, and nothing that may begin a stop string."""

import codecs
from collections.abc import Iterable, Sequence
from typing import Protocol

from farthing.errors import InputError


class Pieces(Protocol):
    """What a stream asks of a tokenizer."""

    strips_first_space: bool

    def piece(self, id: int, *, special: bool = False) -> bytes: ...


class TextStream:
    """Text of one answer, piece by piece. The pieces joined are the text decoded whole.

    The text ends before the first stop string to be completed (the longest, if several end at the
    same character). The cost of a token does not depend on how much came before it.
    """

    def __init__(
        self,
        tokenizer: Pieces,
        stop: Sequence[str] = (),
        *,
        special: bool = False,
        continues: bool = False,
    ) -> None:
        """`special` shows special tokens. `continues`: the text follows a prompt, so a
        SentencePiece vocabulary's first space belongs to it."""
        self._piece, self._special = tokenizer.piece, special
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._matchers = [_Matcher(text) for text in stop]
        self._strip = tokenizer.strips_first_space and not continues
        self._held = ""
        self.stopped: str | None = None
        """The stop string that ended the text."""
        self.kept = 0
        """Tokens the text needed: all that came, or up to the one that completed the stop."""

    def push(self, ids: Iterable[int]) -> str:
        """The text that is certain after these ids. Nothing after a stop string was met."""
        parts = []
        for id in ids:
            if self.stopped is not None:
                break
            self.kept += 1
            bytes = self._piece(id, special=self._special)
            parts.append(self._take(self._decoder.decode(bytes)))
        return "".join(parts)

    def finish(self) -> str:
        """What was held back. A character that never came whole is U+FFFD."""
        if self.stopped is not None:
            return ""
        text = self._take(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text + held

    def _take(self, text: str) -> str:
        if self._strip and text:
            text, self._strip = text.removeprefix(" "), False
        if not self._matchers or not text:
            return text
        self._held += text
        cut = self._match(text)
        ready, self._held = self._held[:cut], self._held[cut:]
        return ready

    def _match(self, text: str) -> int:
        """How much of the held text may go: up to what may be a stop string, or is one."""
        before = len(self._held) - len(text)
        for at, character in enumerate(text, start=before + 1):
            ends = [matcher for matcher in self._matchers if matcher.step(character)]
            if ends:
                self.stopped = max((matcher.text for matcher in ends), key=len)
                return at - len(self.stopped)
        return len(self._held) - max(matcher.matched for matcher in self._matchers)


class _Matcher:
    """Knuth, Morris and Pratt's automaton of one stop string, a character at a time."""

    def __init__(self, text: str) -> None:
        if not text:
            raise InputError("a stop string is empty; give at least one character")
        self.text, self.matched = text, 0
        self._fallback = _fallbacks(text)

    def step(self, character: str) -> bool:
        """Whether the stop string ends here."""
        matched = self.matched
        while matched and self.text[matched] != character:
            matched = self._fallback[matched]
        if self.text[matched] == character:
            matched += 1
        self.matched = matched
        return matched == len(self.text)


def _fallbacks(text: str) -> list[int]:
    """For each length matched, the longest shorter beginning that also ends there."""
    fallback, matched = [0, 0], 0
    for character in text[1:]:
        while matched and text[matched] != character:
            matched = fallback[matched]
        if text[matched] == character:
            matched += 1
        fallback.append(matched)
    return fallback
