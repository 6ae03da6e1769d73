"""Every request leaves one row, whatever ends it, and the rows sum to the engine's own count."""

import asyncio
import json
import socket
import time

import httpx
import openai
import pytest
from served import serving

FOREVER = {"model": "toy", "prompt": "x", "max_tokens": 4000, "ignore_eos": True}
DEADLY = "<|endoftext|>" * 5


@pytest.fixture
def fresh(tmp_path):
    with serving(tmp_path) as served:
        yield served


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def quiet(server):
    counters = server.counters()
    return not (counters["vllm:num_requests_running"] or counters["vllm:num_requests_waiting"])


def leave_early(server, body, events):
    """Ask for a stream, read some events, and hang up. Returns the answer's id."""
    with httpx.stream("POST", f"{server.api}/completions", json=body) as response:
        lines = (line for line in response.iter_lines() if line.startswith("data: "))
        told = [json.loads(next(lines)[6:]) for _ in range(events)]
    return told[0]["id"]


def test_a_client_that_leaves_frees_its_pages_and_pays_for_what_was_made(fresh):
    id = leave_early(fresh, FOREVER | {"stream": True}, 5)
    until(lambda: quiet(fresh))
    counters = fresh.counters()
    fresh.end()

    (row,) = fresh.rows()
    assert row.id == id and row.finish_reason == "cancelled" and row.key_name == "local"
    assert 5 <= row.decode_tokens < 2000 and row.nanodollars > 0
    assert counters["vllm:kv_cache_usage_perc"] == 0


def test_a_client_that_leaves_before_a_whole_answer_stops_it_too(fresh):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{fresh.api}/completions", json=FOREVER, timeout=0.3)
    until(lambda: quiet(fresh))
    fresh.end()

    (row,) = fresh.rows()
    assert row.finish_reason == "cancelled" and 0 < row.decode_tokens < 4000


def test_a_client_that_never_reads_is_cut_off(tmp_path):
    """Its window is small and the pieces are large: the server cannot write, and gives up."""
    long = {"stream": True, "logprobs": 20, "n": 8, "max_tokens": 900}
    body = json.dumps(FOREVER | long).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json"
    with serving(tmp_path, "patience_seconds=1") as served, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = served.url.removeprefix("http://").split(":")
        deaf.connect((host, int(port)))
        deaf.sendall(head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        (row,) = until(served.rows, 60)
    assert row.finish_reason in ("cancelled", "length") and row.decode_tokens > 0
    assert served.process.returncode == 0


def test_all_bills_and_the_clock_close_under_mixed_load(fresh):
    """Whole, streamed, n answers, stops, refusals and clients that leave, at once."""

    async def load():
        async with openai.AsyncOpenAI(base_url=fresh.api, api_key="none", max_retries=0) as client:

            async def whole(i):
                await client.completions.create(
                    model="toy", prompt=f"prompt {i}", max_tokens=20 + i, n=1 + i % 3
                )

            async def leaves(i):
                stream = await client.completions.create(
                    model="toy", prompt=f"p {i}", max_tokens=2000, stream=True,
                    extra_body={"ignore_eos": True},
                )  # fmt: skip
                async for _ in stream:
                    break
                await stream.close()

            async def refused(i):
                with pytest.raises(openai.BadRequestError):
                    await client.completions.create(model="toy", prompt="x" * 5000, n=1 + i % 2)

            await asyncio.gather(*(f(i) for i in range(8) for f in (whole, leaves, refused)))

    asyncio.run(load())
    until(lambda: quiet(fresh))
    counters = fresh.counters()
    assert fresh.end() == 0

    rows = fresh.rows()
    assert len(rows) == 16 and len({row.id for row in rows}) == 16
    billed = sum(row.fresh_ns + row.cached_ns + row.decode_ns + row.rejected_ns for row in rows)
    (clock,) = fresh.rows(
        "SELECT sum(busy_ns) b, sum(idle_ns) i, sum(load_ns) l FROM farthing_clock"
    )
    assert billed == clock.b, "the bills are the engine's busy time, to the nanosecond"
    assert clock.i > 0 and clock.l > 0
    dollars = sum(row.nanodollars for row in rows) / 1e9
    assert counters["farthing_cost_dollars_total"] >= 0 and dollars > 0


def test_an_engine_that_dies_is_told_restarted_and_billed(fresh):
    """What was in flight ends with an error; the next request is answered."""
    with openai.OpenAI(base_url=fresh.api, api_key="none", max_retries=0) as client:
        stream = client.completions.create(
            model="toy", prompt="x", max_tokens=4000, stream=True, extra_body={"ignore_eos": True}
        )
        next(iter(stream))
        with pytest.raises(openai.InternalServerError) as caught:
            client.completions.create(model="toy", prompt=DEADLY)
        with pytest.raises(openai.APIError, match="engine died"):
            for _ in stream:
                pass
        assert caught.value.code == "engine_died"
        assert client.completions.create(model="toy", prompt="again").usage.completion_tokens
    until(lambda: httpx.get(f"{fresh.url}/health").status_code == 200)
    assert fresh.counters()["farthing_engine_restarts_total"] == 1
    assert fresh.end() == 0

    died, also_died, answered = sorted(fresh.rows(), key=lambda row: row.at_ns)
    assert {died.finish_reason, also_died.finish_reason} == {"died"}
    assert answered.finish_reason in ("stop", "length")
    assert died.decode_tokens + also_died.decode_tokens > 0
    assert died.nanodollars + also_died.nanodollars > 0
