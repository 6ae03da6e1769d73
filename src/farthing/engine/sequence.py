"""One sequence: its tokens, the pages that hold them, and what it has used so far."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from farthing.engine.adjust import Adjustments
from farthing.engine.pages import PAGE
from farthing.engine.types import Finished, Request
from farthing.usage import CLASSES, Usage

FRESH, DECODE = CLASSES.index("fresh"), CLASSES.index("decode")
Reason = Literal["stop", "length", "cancelled"]


class Sequence:
    """A request under way. The scheduler owns `pages`, `slot` and `computed`.

    tokens  |-- prompt --|-- answer --|-- room --|
            |-- computed --|          ^ length       `computed` tokens are on the pages
    """

    def __init__(self, request: Request, arrival: int, *, max_context: int) -> None:
        self.id = request.id
        self.request = request
        self.arrival = arrival
        self.prompt = self.length = len(request.tokens)
        self.most = min(self.prompt + request.max_tokens, max_context)
        self.tokens: NDArray[np.int32] = np.empty(self.most, np.int32)
        self.tokens[: self.prompt] = request.tokens
        self.last = request.tokens[-1]
        self.adjust = Adjustments.of(request, self.most - self.prompt)
        self._stops = frozenset(request.stop_ids)

        self.computed = 0
        self.pages: list[int] = []
        self.names: list[bytes] = []
        """Of its full pages, as far as they are known. See prefix.py."""
        self.promises = 0
        """Others may be waiting for this many of its first pages."""
        self.slot = -1
        """Its row in the arrays of the batch, while it runs."""

        self.started = False
        self.cached = 0
        """Tokens of the prompt that were found on pages when it started."""
        self.nanoseconds = [0] * len(CLASSES)

    @property
    def made(self) -> int:
        """Tokens of the answer."""
        return self.length - self.prompt

    @property
    def known(self) -> NDArray[np.int32]:
        return self.tokens[: self.length]

    @property
    def reusable(self) -> int:
        """Full pages that need not be computed: the last token must be, for its logits."""
        return (self.length - 1) // PAGE

    @property
    def kind(self) -> int:
        """The class of its next segment's time."""
        return DECODE if self.computed >= self.prompt else FRESH

    def append(self, token: int) -> Reason | None:
        """One more token of the answer. Returns why it is the last, if it is."""
        self.tokens[self.length] = self.last = token
        self.length += 1
        if self.adjust:
            self.adjust.append(token)
        if token in self._stops and self.made >= self.request.min_tokens:
            return "stop"
        return "length" if self.length == self.most else None

    def finished(self, reason: Reason, keep: int | None = None) -> Finished:
        """The answer is cut to `keep` tokens; those beyond it were made, and thrown away."""
        kept = self.made if keep is None else max(0, min(keep, self.made))
        fresh, cached, decode, rejected = self.nanoseconds
        usage = Usage(
            prompt_tokens=self.prompt,
            cached_tokens=self.cached,
            completion_tokens=kept,
            rejected_tokens=self.made - kept,
            nanoseconds=(fresh, cached, decode, rejected),
        )
        return Finished(self.id, reason, usage)
