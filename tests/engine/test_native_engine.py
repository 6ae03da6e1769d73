"""The real model through the whole engine: however the work is arranged, the same tokens.

The toy runner finds the scheduler's mistakes; this finds what only the kernels can get wrong.
"""

import asyncio
import random
import time
from pathlib import Path

import pytest
from driver import Answers, cancel, request, run

from farthing.config import EngineConfig
from farthing.engine.client import EngineClient
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner

DICE = random.Random(4)
WAYS = [
    {},
    {"temperature": 0.9, "seed": 77, "top_p": 0.95, "min_p": 0.01},
    {"temperature": 1.0, "seed": 2, "repetition_penalty": 1.2, "top_k": 50},
]
POOL = 1 << 27


def make(folder: Path, **config) -> Engine:
    settings = EngineConfig(**{"threads": 2, "cache_bytes": POOL, "max_context": 512, **config})
    return Engine(NativeRunner(folder, settings), settings)


def ids(length: int) -> list[int]:
    return [DICE.randrange(49152) for _ in range(length)]


def asks(lengths, answer: int):
    """Greedy, seeded and penalised ones in turn."""
    return [
        request(f"r{n}", ids(length), answer, **WAYS[n % 3]) for n, length in enumerate(lengths)
    ]


def alone(folder: Path, requests) -> dict[str, list[int]]:
    """Each by itself, on one thread and with nothing kept."""
    engine, answers = make(folder, threads=1, prefix_cache=False), Answers()
    for ask in requests:
        run(engine, [ask], answers)
    return answers.tokens


def test_company_chunks_threads_and_caches_change_no_token(smollm2):
    requests = asks([1, 33, 63, 64, 65, 130, 200], answer=12)
    expected, engine = alone(smollm2, requests), make(smollm2)
    assert run(engine, requests).tokens == expected, "cold, together, on two threads"
    warm = run(engine, requests)
    assert warm.tokens == expected and sum(warm.cached.values()) == 64 * (1 + 2 + 3)
    assert run(make(smollm2, max_step_tokens=37), requests).tokens == expected, "in chunks"


def test_preemption_changes_no_token(smollm2):
    requests = asks([60, 58, 56, 54], answer=30)
    engine = make(smollm2, cache_bytes=7 * make(smollm2).runner.page_bytes)
    answers = run(engine, requests)
    assert engine.scheduler.preemptions > 0
    assert answers.tokens == alone(smollm2, requests)


@pytest.mark.slow
def test_a_hundred_thousand_tokens_leak_nothing_and_memory_stays_flat(smollm2):
    """Prompt and answer tokens alike, through one engine, with cancels; pages run out often."""
    engine, answers, asked, rss = make(smollm2, max_sequences=32), Answers(), {}, []
    dice, shared = random.Random(9), ids(300)
    while (done := engine.counters()).prompt_tokens + done.completion_tokens < 100_000:
        if len(engine.scheduler.waiting) < 8:
            stem = shared[: dice.randrange(1, 300)]
            tail = [dice.randrange(49152) for _ in range(dice.randrange(100))]
            id = f"r{len(asked)}"
            asked[id] = request(id, stem + tail, dice.randrange(1, 100), **WAYS[1])
            engine.submit(asked[id])
        if dice.random() < 0.02:
            cancel(engine, dice.choice(list(asked)[-40:]))
        answers.take(engine.step())
        engine.check()
        if done.steps % 100 == 50:
            rss.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    run(engine, answers=answers)
    assert answers.finished.keys() == asked.keys()
    assert max(rss[len(rss) // 2 :]) < rss[len(rss) // 2] + 16e6


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "near"), [(1, 0.05), (2, 0.1)])
def test_busy_time_is_the_processors_time(smollm2, threads, near):
    """Under load busy x threads is the process's CPU time.

    A core is the client's, so that two threads lose to it now and then, and who waits sleeps.
    """
    config = EngineConfig(threads=threads, cache_bytes=POOL)

    async def go():
        engine = await EngineClient.start(smollm2, config)
        ticks = Path(f"/proc/{engine.pid}/stat")

        def cpu():
            fields = ticks.read_text().rsplit(") ", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) * 10_000_000

        began, before, wall = await engine.read(), cpu(), time.monotonic_ns()
        streams = [engine.submit(ask) for ask in asks([100] * 32, answer=150)]
        await asyncio.gather(*(stream.ended() for stream in streams))
        ended, after, wall = await engine.read(), cpu(), time.monotonic_ns() - wall
        await engine.stop()
        busy, idle = ended.busy - began.busy, ended.idle - began.idle
        assert busy + idle == pytest.approx(wall, rel=0.01)
        assert after - before == pytest.approx(threads * busy, rel=near)

    asyncio.run(go())
