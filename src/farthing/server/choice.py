"""One answer: an engine's sequence on one side, pieces of text on the other.

This is the hot path: it runs once a token and stream. Knows neither JSON nor money.
"""

from collections.abc import AsyncGenerator
from time import perf_counter

from farthing.engine.client import EngineClient
from farthing.engine.stream import Stream
from farthing.engine.types import Request, Token
from farthing.server.metrics import Metrics
from farthing.tokenizer import TextStream


class Choice:
    __slots__ = (
        "began",
        "echo",
        "first",
        "generated",
        "index",
        "last",
        "offset",
        "request",
        "stream",
        "text",
        "tokens",
    )

    def __init__(self, index: int, request: Request, text: TextStream, echo: str = "") -> None:
        self.index = index
        self.request = request
        self.text = text
        self.echo = echo
        self.stream: Stream | None = None
        self.began = self.first = self.last = 0.0
        self.generated = 0
        self.tokens: list[Token] = []
        """Tokens whose logprobs have not been shown yet; empty when none are wanted."""
        self.offset = len(echo)
        """Characters before the next token's, for logprobs."""

    def start(self, engine: EngineClient) -> None:
        self.began = perf_counter()
        self.stream = engine.submit(self.request)

    async def pieces(self, engine: EngineClient, metrics: Metrics) -> AsyncGenerator[str, None]:
        """Text as it comes, never empty. Ends after the engine's last word on this request."""
        assert self.stream is not None
        push, keep = self.text.push, self.request.sampling.logprobs is not None
        stop_ids = frozenset(self.request.stop_ids)
        async for tokens in self.stream:
            self._note(len(tokens), metrics)
            if self.text.stopped is not None:
                continue
            text = push([token.id for token in tokens if token.id not in stop_ids])
            if self.text.stopped is not None:
                engine.cancel(self.request.id, keep=self.text.kept)
            if keep:
                self.tokens += [token for token in tokens if token.id not in stop_ids]
            if text:
                yield text
        if self.text.stopped is None and (text := self.text.finish()):
            yield text

    def take_tokens(self) -> list[Token]:
        tokens, self.tokens = self.tokens, []
        return tokens

    def _note(self, tokens: int, metrics: Metrics) -> None:
        now = perf_counter()
        self.generated += tokens
        if self.last:
            metrics.between_tokens.add(now - self.last)
        else:
            self.first = now
            metrics.first_token.add(now - self.began)
        self.last = now

    @property
    def reason(self) -> str | None:
        """OpenAI's finish_reason; None as long as it runs, or when it was cut off."""
        if self.text.stopped is not None:
            return "stop"
        finished = self.stream.finished if self.stream else None
        return finished.reason if finished and finished.reason in ("stop", "length") else None

    @property
    def stop_reason(self) -> str | int | None:
        """vLLM's: the stop string, or the stop token if the client named one."""
        return self.text.stopped
