"""Load on any OpenAI-compatible server: concurrent streams, and what each of them felt.

Knows HTTP from outside only: it measures farthing and its peers alike.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import uvloop

from farthing.bench.felt import Report, report
from farthing.bench.wires import Outcome, ask, post
from farthing.errors import InputError

NOUNS = (
    "time year people way day man thing woman life child world school state family student group"
    " country problem hand part place case week company system program question work government"
    " number night point home water room mother area money story fact month lot right study book"
    " eye job word business issue side kind head house service friend father power hour game line"
    " end member law car city community name president team minute idea kid body information back"
    " parent face others level office door health person art war history party result change"
)
WORDS = NOUNS.split()
"""A token each in most vocabularies, with the space before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    url: str
    """As http://127.0.0.1:8000 or http://127.0.0.1:8000/v1."""

    model: str | None = None
    """As the server names it; a server of one model may not ask."""

    concurrency: int = 32
    """Streams at once, at most."""

    requests: int = 32
    prompt_tokens: int = 126
    """Words of a prompt; each is about a token, and the report says how many the server counted."""

    shared_tokens: int = 0
    """How many of them, from the start, are the same in all prompts."""

    output_tokens: int = 128
    rate: float = 0.0
    """Arrivals a second, at random moments (Poisson); 0 sends the next when a stream is free."""

    chat: bool = False
    """Ask /v1/chat/completions; otherwise /v1/completions."""

    seed: int = 0
    first_seconds: float = 1.0
    """Good: the first token within this many seconds ..."""

    token_seconds: float = 0.1
    """... and the mean time of the tokens after it no longer than this."""

    key: str | None = None
    """API key."""

    def __post_init__(self) -> None:
        for name, least in (
            ("concurrency", 1),
            ("requests", 1),
            ("prompt_tokens", 1),
            ("shared_tokens", 0),
            ("output_tokens", 1),
            ("rate", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.shared_tokens > self.prompt_tokens:
            raise InputError(
                f"shared_tokens ({self.shared_tokens}) is more than prompt_tokens"
                f" ({self.prompt_tokens})"
            )
        split = urlsplit(self.url)
        if split.scheme != "http" or not split.hostname:
            raise InputError(
                f"{self.url!r}: expected http://HOST:PORT (no TLS: measure it locally)"
            )


def serve(load: Load) -> Report:
    """Run the load. Raises InputError if no request at all came through."""
    return uvloop.run(_run(load))


async def _run(load: Load) -> Report:
    split = urlsplit(load.url)
    host, port = split.hostname or "", split.port or 80
    path = split.path.rstrip("/").removesuffix("/v1")
    path += "/v1/chat/completions" if load.chat else "/v1/completions"
    bodies = [post(host, port, path, body, load.key) for body in _bodies(load)]
    arrivals = _arrivals(load)
    free = asyncio.Semaphore(load.concurrency)
    cpu, origin = _cpu(), perf_counter()

    async def one(arrival: float, body: bytes) -> Outcome:
        await asyncio.sleep(arrival - (perf_counter() - origin))
        async with free:
            return await ask(host, port, body, origin)

    outcomes = await asyncio.gather(
        *(one(arrival, body) for arrival, body in zip(arrivals, bodies, strict=True))
    )
    seconds = perf_counter() - origin
    good = [outcome for outcome in outcomes if outcome.error is None]
    if not good:
        raise InputError(f"no request to {load.url} came through; the first: {outcomes[0].error}")
    return report(
        outcomes,
        seconds,
        _cpu() - cpu,
        first_seconds=load.first_seconds,
        token_seconds=load.token_seconds,
    )


def _arrivals(load: Load) -> list[float]:
    if not load.rate:
        return [0.0] * load.requests
    chance, at, moments = random.Random(f"{load.seed} arrivals"), 0.0, []
    for _ in range(load.requests):
        moments.append(at)
        at += chance.expovariate(load.rate)
    return moments


def _bodies(load: Load) -> Iterator[dict[str, Any]]:
    chance = random.Random(load.seed)
    shared = chance.choices(WORDS, k=load.shared_tokens)
    for _ in range(load.requests):
        words = [*shared, *chance.choices(WORDS, k=load.prompt_tokens - load.shared_tokens)]
        text = " ".join(words)
        asked: dict[str, Any] = (
            {"messages": [{"role": "user", "content": text}]} if load.chat else {"prompt": text}
        )
        yield asked | {
            **({"model": load.model} if load.model else {}),
            "max_tokens": load.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


def _cpu() -> float:
    used = getrusage(RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
