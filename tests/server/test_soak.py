"""A hundred thousand tokens, random arrivals, lengths and leavings: nothing lost or leaked."""

import asyncio
import random
from pathlib import Path

import httpx
import openai
import pytest
from served import serving

TOKENS = 100_000


def memory(process: int) -> int:
    """Private bytes of a process and its children."""
    total = 0
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for each in [process, *map(int, children)]:
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private"))
    return total


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_leaks(tmp_path):
    with serving(tmp_path, "max_answers=64") as served:
        chance = random.Random(0)
        sent, warm = asyncio.run(load(served, chance))
        counters = served.counters()
        grown = memory(served.process.pid) - warm
    rows = served.rows()
    billed = sum(row.fresh_ns + row.cached_ns + row.decode_ns for row in rows)
    (clock,) = served.rows("SELECT sum(busy_ns) busy FROM farthing_clock")

    assert sum(row.decode_tokens for row in rows) >= TOKENS
    assert len(rows) == sent and billed == clock.busy
    assert counters["vllm:num_requests_running"] == counters["vllm:num_requests_waiting"] == 0
    assert counters["vllm:kv_cache_usage_perc"] == 0
    assert grown < 32 << 20


async def load(served, chance) -> tuple[int, int]:
    """Requests taken, and the memory after the first tenth."""
    made = sent = warm = 0
    running: set[asyncio.Task[int]] = set()
    async with openai.AsyncOpenAI(
        base_url=served.api, api_key="none", max_retries=0, timeout=300
    ) as client:
        while made < TOKENS:
            running.add(asyncio.create_task(one(client, chance)))
            await asyncio.sleep(chance.expovariate(30))
            done = {task for task in running if task.done()}
            running -= done
            made += sum(task.result() for task in done)
            sent += sum(task.result() > 0 for task in done)
            if not warm and made > TOKENS // 10:
                warm = memory(served.process.pid)
        results = await asyncio.gather(*running)
    async with httpx.AsyncClient() as http:
        while (await http.get(f"{served.url}/metrics")).text.count("requests_running{") == 0:
            pass
    for _ in range(500):
        if not served.counters()["vllm:num_requests_running"]:
            break
    return sent + sum(result > 0 for result in results), warm


async def one(client, chance) -> int:
    """One request of a random kind; tokens seen, 0 if it was refused for want of room."""
    prompt = "shared beginning " * chance.randrange(20) + str(chance.random())
    longest, leaves = chance.randrange(1, 200), chance.randrange(1, 400)
    count = 0
    try:
        stream = await client.completions.create(
            model="toy", prompt=prompt, max_tokens=longest, stream=True, n=chance.choice([1, 1, 2]),
            logprobs=1, extra_body={"ignore_eos": True},
        )  # fmt: skip
        async with stream:
            async for chunk in stream:
                count += sum(len(c.logprobs.tokens) for c in chunk.choices if c.logprobs)
                if count >= leaves:
                    return count
    except openai.InternalServerError as error:
        assert error.status_code == 503
    return count
