"""What is added to single logits of a sequence: biases, penalties, and stops that come too early.

Knows nothing of how a token is then chosen. Kept only for sequences that ask for any of it.
"""

from math import inf
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from farthing.engine.types import Request


class Entries(NamedTuple):
    """[E] each, a token at most once. See types.RowSampling."""

    ids: NDArray[np.int32]
    bias: NDArray[np.float32]
    counts: NDArray[np.int32]
    seen: NDArray[np.uint8]


class Adjustments:
    def __init__(self, request: Request, most: int) -> None:
        sampling = request.sampling
        repeats = sampling.repetition_penalty != 1.0
        self._counting = repeats or bool(sampling.presence_penalty or sampling.frequency_penalty)
        bias = dict(sampling.logit_bias)
        self._early = (
            {stop: bias.get(stop, 0.0) for stop in request.stop_ids} if request.min_tokens else {}
        )
        self._until = request.min_tokens
        self._made = 0
        bias |= dict.fromkeys(self._early, -inf)
        prompt = set(request.tokens) if repeats else set()
        ids = [*bias, *sorted(prompt - bias.keys())]
        self._at = {token: at for at, token in enumerate(ids)}
        room = len(ids) + (most if self._counting else 0)
        self._all = Entries(
            np.empty(room, np.int32),
            np.zeros(room, np.float32),
            np.zeros(room, np.int32),
            np.zeros(room, np.uint8),
        )
        self._all.ids[: len(ids)] = ids
        self._all.bias[: len(bias)] = list(bias.values())
        self._all.seen[: len(ids)] = [token in prompt for token in ids]

    @classmethod
    def of(cls, request: Request, most: int) -> Self | None:
        """None for a request that leaves all logits as they are. `most` tokens may be made."""
        sampling = request.sampling
        asked = (
            sampling.logit_bias
            or (request.min_tokens and request.stop_ids)
            or sampling.repetition_penalty != 1.0
            or sampling.presence_penalty
            or sampling.frequency_penalty
        )
        return cls(request, most) if asked else None

    def append(self, token: int) -> None:
        """One more token of the answer."""
        self._made += 1
        if self._made == self._until:
            for stop, bias in self._early.items():
                self._all.bias[self._at[stop]] = bias
        if self._counting:
            at = self._at.setdefault(token, len(self._at))
            self._all.ids[at] = token
            self._all.counts[at] += 1
            self._all.seen[at] = 1

    def entries(self) -> Entries:
        (ids, bias, counts, seen), count = self._all, len(self._at)
        return Entries(ids[:count], bias[:count], counts[:count], seen[:count])
