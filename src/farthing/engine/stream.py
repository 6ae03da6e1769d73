"""One request as its asker sees it: tokens as they come, then what it used.

Knows nothing of processes.
"""

import asyncio
from typing import Self

from farthing.engine.types import Charge, Finished, Request, Token
from farthing.errors import FarthingError
from farthing.usage import CLASSES, Usage


class Stream:
    """An async iterator of lists of tokens: all that came since it was last asked.

    `finished` stands when the iterator has ended, whatever ended it; its usage is what the engine
    said, or, if the engine died, the sum of what it had said until then.
    """

    def __init__(self, request: Request) -> None:
        self.id = request.id
        self.request = request
        self.finished: Finished | None = None
        self.error: FarthingError | None = None
        self.cached_tokens = 0
        self.made = 0
        self._nanoseconds = [0] * len(CLASSES)
        self._tokens: list[Token] = []
        self._change = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Token]:
        while not self._tokens:
            if self.error:
                raise self.error
            if self.finished:
                raise StopAsyncIteration
            self._change.clear()
            await self._change.wait()
        tokens, self._tokens = self._tokens, []
        return tokens

    async def ended(self) -> Finished:
        """Waits for the end, and leaves the tokens that still come unread. Never raises."""
        while not self.finished:
            self._tokens.clear()
            self._change.clear()
            await self._change.wait()
        return self.finished

    def usage(self) -> Usage:
        """What is known of it so far."""
        if self.finished:
            return self.finished.usage
        fresh, cached, decode, rejected = self._nanoseconds
        return Usage(
            prompt_tokens=len(self.request.tokens),
            cached_tokens=self.cached_tokens,
            completion_tokens=self.made,
            nanoseconds=(fresh, cached, decode, rejected),
        )

    def push(self, token: Token) -> None:
        self.made += 1
        self._tokens.append(token)
        self._change.set()

    def charge(self, charge: Charge) -> None:
        self._nanoseconds[charge.kind] += charge.nanoseconds

    def end(self, finished: Finished) -> None:
        self.finished = finished
        self._change.set()

    def fail(self, error: FarthingError, reason: str) -> None:
        """Ends it with an error; what it had used stays known."""
        self.error = error
        self.end(Finished(self.id, reason, self.usage()))
