"""How fast this server is, measured through its own engine in about a second, and billed."""

import asyncio
import secrets
from time import perf_counter

import msgspec

from farthing.engine.types import Request, Sampling
from farthing.errors import EngineDied
from farthing.server.state import State

KEY = "farthing"
"""Whose bill the measurement is on."""
FIRST = 64
"""Tokens of the first prompt: it wakes the engine, and tells how long the second may be."""
PROMPT = 512
DECODE = 128
SECONDS = 0.5
LONGEST = 10.0


class Speed(msgspec.Struct, frozen=True):
    """Tokens a second; `disturbed` when clients were being answered meanwhile."""

    prefill: float
    decode: float
    disturbed: bool


async def measure(state: State) -> Speed:
    before = bool(state.jobs)
    first = await _run(state, FIRST, 1)
    length = PROMPT if first.seconds < SECONDS * FIRST / PROMPT else FIRST
    whole = await _run(state, length, 1)
    answer = await _run(state, FIRST // 4, DECODE)
    decode = (answer.tokens - 1) / answer.seconds if answer.tokens > 1 else 1 / first.seconds
    disturbed = before or bool(state.jobs)
    return Speed(prefill=length / whole.seconds, decode=decode, disturbed=disturbed)


class Run(msgspec.Struct):
    tokens: int
    seconds: float
    """To the first token, or from the first to the last if there were several."""


async def _run(state: State, prompt: int, tokens: int) -> Run:
    """One request of random tokens, cut short when the time is over."""
    vocabulary, limit = state.model.vocabulary, state.model.limit
    ids = [secrets.randbelow(vocabulary) for _ in range(min(prompt, limit - tokens))]
    id = f"measure-{secrets.token_hex(8)}"
    request = Request(id=id, tokens=ids, max_tokens=tokens, sampling=Sampling(temperature=0.0))
    began = perf_counter()
    stream = state.engine.submit(request)
    times: list[float] = []
    cut = asyncio.get_running_loop().call_later(LONGEST, state.engine.cancel, id)
    try:
        async for some in stream:
            times += [perf_counter()] * len(some)
            if len(times) == 1:
                cut.cancel()
                cut = asyncio.get_running_loop().call_later(SECONDS, state.engine.cancel, id)
    finally:
        cut.cancel()
        ended = await stream.ended()
        cost = state.bills.write(id, KEY, ended.reason, ended.usage)
        state.metrics.bill(cost.by_class)
    if not times:
        raise EngineDied("no token came in time")
    return Run(len(times), max(1e-9, times[-1] - (times[0] if tokens > 1 else began)))
