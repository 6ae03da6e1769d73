"""Documents into a corpus of tokens: a text between its bos and eos, a chat by its template.

What a document says is data: a special token written in it is read as plain text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from farthing.errors import InputError
from farthing.learn import corpus
from farthing.learn import tokenizer as ours
from farthing.learn.corpus import Corpus
from farthing.learn.coverage import MOST, Coverage, language_of
from farthing.learn.documents import Document, Message
from farthing.tokenizer import Tokenizer

TOGETHER = 1024
"""Documents that are encoded at once."""

Packed = tuple[list[int], list[bool] | None]
"""A document's ids, and which of them are learned; None: all."""


class Part(NamedTuple):
    """A stretch of a document: special tokens by id, or a text that is yet to be encoded."""

    given: list[int] | str
    learned: bool


class Packer:
    """`packed(records)`: each as ids. With `answers_only` the loss counts what assistants say."""

    def __init__(
        self, tokenizer: Tokenizer, *, answers_only: bool = False, most: float = MOST
    ) -> None:
        self.tokenizer, self.answers_only, self.most = tokenizer, answers_only, most
        self.coverage = Coverage.of(tokenizer)
        self.bos = tokenizer.special_id("bos_token")
        self.eos = tokenizer.special_id("eos_token")
        template = tokenizer.template
        self.own = template is not None and template.source == ours.TEMPLATE
        marks = (*ours.ROLES.values(), ours.END) if self.own else ()
        self.marks = {text: tokenizer.encode(text)[0] for text in marks}

    def packed(self, documents: Iterable[Document]) -> Iterator[Packed]:
        """Raises InputError for a text where only answers count, for what the template refuses,
        and as soon as the tokenizer is seen not to cover a language."""
        source = iter(documents)
        while some := list(islice(source, TOGETHER)):
            parts = [list(self._parts(document)) for document in some]
            texts = [part.given for one in parts for part in one if isinstance(part.given, str)]
            encoded = iter(self.tokenizer.encode_many(texts))
            filled = [[_filled(part, encoded) for part in one] for one in parts]
            joined = [[id for ids in one for id in ids] for one in filled]
            self.coverage.add([language_of(document) for document in some], joined)
            self.coverage.check(self.most)
            for ids, lengths, one in zip(joined, filled, parts, strict=True):
                learned = None
                if self.answers_only:
                    pairs = zip(one, lengths, strict=True)
                    learned = [part.learned for part, made in pairs for _ in made]
                yield ids, learned

    def _parts(self, document: Document) -> Iterator[Part]:
        if document.text is not None:
            return self._text(document.text)
        messages = document.messages or ()
        return self._own(messages) if self.own else self._foreign(messages)

    def _text(self, text: str) -> Iterator[Part]:
        if self.answers_only:
            raise InputError(
                f"a text has no answers ({text[:40]!r} ...); pack texts without --answers-only"
            )
        if self.eos is None:
            raise InputError("the tokenizer names no eos_token, with which a document would end")
        if self.bos is not None:
            yield Part([self.bos], False)
        yield Part(text, True)
        yield Part([self.eos], True)

    def _own(self, messages: Sequence[Message]) -> Iterator[Part]:
        """What the template of `learn tokenizer` makes, without running it: that would take longer
        than all else."""
        assert self.bos is not None, "our own template begins with it"
        yield Part([self.bos], False)
        for message in messages:
            answer = message.role == "assistant"
            yield Part([self.marks[ours.ROLES[message.role]]], False)
            yield Part(message.content, answer)
            yield Part([self.marks[ours.END]], answer)

    def _foreign(self, messages: Sequence[Message]) -> Iterator[Part]:
        """By any template. Where answers count, each begins tokens of its own, as when serving."""
        told = [{"role": message.role, "content": message.content} for message in messages]
        ids = self.tokenizer.chat(told, add_generation_prompt=False)
        if not self.answers_only:
            yield Part(ids, False)
            return
        if self.tokenizer.encode(self._rendered(told)) != ids:
            raise InputError(
                "a message spells a special token, which under this chat template can't be told"
                f" from a real one: {messages[0].content[:40]!r} ...; remove the document"
            )
        for text, answer in self._turns(told):
            yield Part(self.tokenizer.encode(text), answer)

    def _turns(self, told: list[dict[str, str]]) -> Iterator[tuple[str, bool]]:
        """The rendered chat in parts, and whether each is an answer: what it adds to its prompt."""
        whole, at = self._rendered(told), 0
        for turn, message in enumerate(told):
            if message["role"] != "assistant":
                continue
            before = self.tokenizer.chat_text(told[:turn])
            after = self._rendered(told[: turn + 1])
            if not (whole.startswith(after) and after.startswith(before)):
                raise InputError(
                    "this chat template renders earlier turns otherwise once more follow, so that"
                    " answers can't be told apart; pack without --answers-only"
                )
            yield whole[at : len(before)], False
            yield whole[len(before) : len(after)], True
            at = len(after)
        yield whole[at:], False

    def _rendered(self, told: list[dict[str, str]]) -> str:
        return self.tokenizer.chat_text(told, add_generation_prompt=False)


def _filled(part: Part, encoded: Iterator[list[int]]) -> list[int]:
    return next(encoded) if isinstance(part.given, str) else part.given


def write(
    path: Path,
    documents: Iterable[Document],
    tokenizer: Path,
    *,
    answers_only: bool = False,
    most: float = MOST,
    about: Mapping[str, Any],
) -> Corpus:
    """A new corpus, whole or not there. `tokenizer` is a folder; `about` says what the documents
    are. Beside it corpus.json tells the tokenizer's hash, and how it covers each language."""
    opened = Tokenizer.open(tokenizer)
    packer = Packer(opened, answers_only=answers_only, most=most)
    source = (tokenizer / "tokenizer.json").read_text("utf-8")
    told = {"tokenizer": ours.sha256(source), "answers_only": answers_only, **about}

    def counted() -> Iterator[Packed]:
        yield from packer.packed(documents)
        told["languages"] = packer.coverage.told()  # known when all are packed

    return corpus.write(path, counted(), vocabulary=opened.vocabulary, about=told)
