"""What an answer cost, and its one row in the ledger. Knows money and counts, nothing of text."""

from collections.abc import Iterable
from typing import Any

import msgspec

from farthing.meter.rate import NANO, MachinePrice, bill
from farthing.meter.rows import RequestRow
from farthing.meter.writer import Writer
from farthing.usage import CLASSES, Usage


class Cost(msgspec.Struct, frozen=True):
    """Whole nano-dollars; `by_class` follows CLASSES and sums to the total."""

    total: int
    by_class: list[int]


class Bills:
    def __init__(self, writer: Writer, model: str, price: MachinePrice) -> None:
        self.writer = writer
        self.model = model
        self.hour_nanodollars = price.hour_nanodollars

    def check(self) -> None:
        """Before work is taken on: raises Busy where bills could not be kept."""
        self.writer.check()

    def cost(self, usage: Usage) -> Cost:
        return Cost(*bill(usage.nanoseconds, self.hour_nanodollars))

    def write(self, id: str, key: str, finish: str, usage: Usage) -> Cost:
        """Queues the row; the writer's own beat puts it on disk."""
        self.writer.add(
            RequestRow.billed(
                id=id,
                key=key,
                model=self.model,
                finish=finish,
                usage=usage,
                hour_nanodollars=self.hour_nanodollars,
            )
        )
        return self.cost(usage)


def together(usages: Iterable[Usage]) -> Usage:
    """What the engine did for several sequences."""
    prompt = cached = completion = rejected = 0
    nanoseconds = [0] * len(CLASSES)
    for usage in usages:
        prompt += usage.prompt_tokens
        cached += usage.cached_tokens
        completion += usage.completion_tokens
        rejected += usage.rejected_tokens
        nanoseconds = [a + b for a, b in zip(nanoseconds, usage.nanoseconds, strict=True)]
    fresh, of_cached, decode, of_rejected = nanoseconds
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        rejected_tokens=rejected,
        nanoseconds=(fresh, of_cached, decode, of_rejected),
    )


def usage_object(prompt_tokens: int, usage: Usage, cost: Cost) -> dict[str, Any]:
    """OpenAI's `usage`, with the money. Prompts count once, however many answers were made.

    `usage` is the engine's: each of n answers brings its prompt again, mostly from the cache. Fresh
    are the tokens that were computed for any of them.
    """
    fresh = min(usage.prompt_tokens - usage.cached_tokens, prompt_tokens)
    details = zip(CLASSES, cost.by_class, strict=True)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": prompt_tokens - fresh},
        "cost": cost.total / NANO,
        "cost_details": {name: money / NANO for name, money in details},
    }
