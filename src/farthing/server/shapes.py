"""Answers as bytes: whole, or as server-sent events of which only the text changes.

A chunk is encoded once a choice and cut where the text goes: a token costs the encoding of its
own few characters.
"""

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from farthing import __version__
from farthing.errors import FarthingError
from farthing.server.bills import usage_object
from farthing.server.choice import Choice
from farthing.server.job import Job
from farthing.server.logprobs import chat_logprobs, completion_logprobs
from farthing.server.refuse import error_bytes

encode = msgspec.json.Encoder().encode
DONE = b"data: [DONE]\n\n"
HOLE = "\N{REPLACEMENT CHARACTER}hole"
LARGEST = 1 << 63


def event(body: bytes) -> bytes:
    return b"data: " + body + b"\n\n"


def error_event(error: FarthingError) -> bytes:
    return event(error_bytes(error))


class Shape(ABC):
    """One job's answers. `whole` and `chunk` are OpenAI's names of the objects."""

    whole: str
    chunk: str

    def __init__(self, job: Job) -> None:
        self.job = job
        seed = job.plan.sampling.seed
        self.seed = {"seed": seed if seed < LARGEST else seed - 2 * LARGEST}
        self._cut: dict[int, tuple[bytes, bytes]] = {}

    @abstractmethod
    def opening(self) -> bytes:
        """What comes before the first text."""

    @abstractmethod
    def piece(self, choice: Choice, text: str, logprobs: Any) -> dict[str, Any]:
        """One choice of a chunk that adds text."""

    @abstractmethod
    def ending(self, choice: Choice, logprobs: Any) -> dict[str, Any]:
        """The last of a choice."""

    @abstractmethod
    def answer(self, choice: Choice, text: str, logprobs: Any) -> dict[str, Any]:
        """One choice of a whole answer."""

    @abstractmethod
    def logprobs(self, choice: Choice) -> Any:
        """Those of the tokens not yet shown, or None; they are shown then."""

    def head(self, object: str) -> dict[str, Any]:
        job = self.job
        return {
            "id": job.id,
            "object": object,
            "created": job.created,
            "model": job.state.names[0],
            "system_fingerprint": f"farthing-{__version__}",
        }

    def frame(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        usage = {"usage": None} if self.job.plan.include_usage else {}
        return event(encode(self.head(self.chunk) | {"choices": choices} | usage | more))

    def delta(self, choice: Choice, text: str) -> bytes:
        """The event that adds a piece of text: the hot path."""
        if choice.tokens or self.job.plan.running_usage:
            usage = {"usage": self.usage()} if self.job.plan.running_usage else {}
            return self.frame([self.piece(choice, text, self.logprobs(choice))], **usage)
        cut = self._cut.get(choice.index) or self._make_cut(choice)
        return cut[0] + encode(text) + cut[1]

    def _make_cut(self, choice: Choice) -> tuple[bytes, bytes]:
        before, _, after = self.frame([self.piece(choice, HOLE, None)]).partition(encode(HOLE))
        self._cut[choice.index] = before, after
        return before, after

    def last(self) -> bytes:
        """Every choice's end, with the usage; what OpenAI's include_usage wants if it was asked."""
        ends = [self.ending(choice, self.logprobs(choice)) for choice in self.job.choices]
        usage = {"usage": self.usage()}
        if self.job.plan.include_usage:
            return b"".join(self.frame([end]) for end in ends) + self.frame(
                [], **self.seed, **usage
            )
        *others, final = ends
        return b"".join(self.frame([e]) for e in others) + self.frame([final], **self.seed, **usage)

    def all(self, texts: list[str]) -> bytes:
        choices = [
            self.answer(choice, text, self.logprobs(choice))
            for choice, text in zip(self.job.choices, texts, strict=True)
        ]
        head = self.head(self.whole)
        return encode(head | {"choices": choices, "usage": self.usage()} | self.seed)

    def usage(self) -> dict[str, Any]:
        usage = self.job.usage
        return usage_object(self.job.prompt_tokens, usage, self.job.state.bills.cost(usage))


class ChatShape(Shape):
    whole, chunk = "chat.completion", "chat.completion.chunk"

    def opening(self) -> bytes:
        start = {"role": "assistant", "content": ""}
        return b"".join(
            self.frame([_chat_choice(choice, start)], **self.seed) for choice in self.job.choices
        )

    def piece(self, choice: Choice, text: str, logprobs: Any) -> dict[str, Any]:
        return _chat_choice(choice, {"content": text}, logprobs)

    def ending(self, choice: Choice, logprobs: Any) -> dict[str, Any]:
        end = {"finish_reason": choice.reason, "stop_reason": choice.stop_reason}
        return _chat_choice(choice, {}, logprobs) | end

    def answer(self, choice: Choice, text: str, logprobs: Any) -> dict[str, Any]:
        return {
            "index": choice.index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": logprobs,
            "finish_reason": choice.reason,
            "stop_reason": choice.stop_reason,
        }

    def logprobs(self, choice: Choice) -> Any:
        tokens = choice.take_tokens()
        return chat_logprobs(tokens, self.job.state.tokenizer) if tokens else None


def _chat_choice(choice: Choice, delta: dict[str, Any], logprobs: Any = None) -> dict[str, Any]:
    return {"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


class CompletionShape(Shape):
    whole = chunk = "text_completion"

    def opening(self) -> bytes:
        echoing = [choice for choice in self.job.choices if choice.echo]
        return b"".join(self.frame([self.piece(choice, choice.echo, None)]) for choice in echoing)

    def piece(self, choice: Choice, text: str, logprobs: Any) -> dict[str, Any]:
        return {"index": choice.index, "text": text, "logprobs": logprobs, "finish_reason": None}

    def ending(self, choice: Choice, logprobs: Any) -> dict[str, Any]:
        end = {"finish_reason": choice.reason, "stop_reason": choice.stop_reason}
        return self.piece(choice, "", logprobs) | end

    def answer(self, choice: Choice, text: str, logprobs: Any) -> dict[str, Any]:
        return self.ending(choice, logprobs) | {"text": choice.echo + text}

    def logprobs(self, choice: Choice) -> Any:
        tokens = choice.take_tokens()
        if not tokens:
            return None
        shown = completion_logprobs(tokens, self.job.state.tokenizer, choice.offset)
        text = self.job.state.tokenizer.token_text
        choice.offset += sum(len(text(token.id)) for token in tokens)
        return shown
