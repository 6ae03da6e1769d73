"""The engine in a process of its own: what is asked is answered, and what dies is started again."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
import uvloop
from driver import make_engine, request, run
from toy_runner import Doomed

from farthing.config import EngineConfig
from farthing.engine.client import EngineClient
from farthing.errors import Busy, ContextTooLong, EngineDied, FormatError, InputError

HERE = Path(__file__).parent
CONFIG = EngineConfig(max_step_tokens=128, max_sequences=8)
PROMPT = [i % 11 for i in range(150)]


@pytest.fixture(autouse=True)
def toy_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


@contextlib.asynccontextmanager
async def client(factory="toy_runner:make", folder=Path("model")):
    client = await EngineClient.start(folder, CONFIG, factory=factory)
    try:
        yield client
    finally:
        await client.stop()


async def tokens(stream):
    return [token.id async for tokens in stream for token in tokens]


async def until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def alone(*requests):
    runner = Doomed(step_tokens=128, max_context=4096, pages=256)
    return run(make_engine(runner, max_step_tokens=128), requests)


@pytest.mark.parametrize("loop", [asyncio, uvloop])
def test_another_process_gives_the_same_answers_and_all_are_billed(loop):
    asks = [request(f"r{i}", PROMPT[i:], 20, seed=i, temperature=1.0) for i in range(8)]

    async def ask_all():
        async with client() as engine:
            streams = [engine.submit(ask) for ask in asks]
            answers = await asyncio.gather(*map(tokens, streams))
            clock = await engine.read()
            billed = sum(sum(s.finished.usage.nanoseconds) for s in streams)
            assert billed == clock.busy > 0
            assert clock.load == engine.info.load_nanoseconds > 0
            assert (engine.info.vocabulary, engine.info.max_context) == (61, 4096)
            assert clock.completion_tokens == 160
            assert clock.running == clock.waiting == clock.pages_used == 0
        return answers

    expected = alone(*asks).tokens
    assert loop.run(ask_all()) == [expected[ask.id] for ask in asks]


def test_logprobs_and_bias_cross_the_border():
    ask = request("a", PROMPT, 5, logprobs=3, logit_bias={7: 1000.0})

    async def go():
        async with client() as engine:
            return [token async for tokens in engine.submit(ask) for token in tokens]

    for token in asyncio.run(go()):
        assert token.id == 7 == token.top[0][0] and len(token.top) == 3
        assert token.logprob == token.top[0][1] == 0.0


def test_a_killed_engine_fails_what_it_had_bills_it_and_is_back_in_two_seconds():
    deaths = []

    async def go():
        async with client() as engine:
            engine.on_death = lambda: deaths.append(time.monotonic())
            stream = engine.submit(request("long", PROMPT, 3000))
            seen = await anext(stream)
            while len(seen) < 5:
                seen += await anext(stream)
            before = engine.clock
            os.kill(engine.pid, signal.SIGKILL)
            with pytest.raises(EngineDied):
                while True:
                    seen += await anext(stream)
            later = await tokens(engine.submit(request("later", PROMPT, 5)))
            back = time.monotonic() - deaths[0]
            usage = stream.finished.usage
            assert stream.finished.reason == "died"
            assert usage.completion_tokens == len(seen) and usage.prompt_tokens == 150
            assert sum(usage.nanoseconds) >= before.busy and usage.nanoseconds[2] > 0
            assert engine.deaths == 1 and back < 2
            clock = await engine.read()
            assert clock.busy > sum(usage.nanoseconds)
            assert clock.completion_tokens == len(seen) + 5, "sums go on where they were"
            assert clock.load > engine.info.load_nanoseconds
            return later

    assert asyncio.run(go()) == alone(request("later", PROMPT, 5)).tokens["later"]


def test_a_request_that_kills_its_engine_does_not_stop_the_next():
    async def go():
        async with client() as engine:
            for n in range(2):
                with pytest.raises(EngineDied):
                    await tokens(engine.submit(request(f"bad{n}", [1, 13, 2])))
                assert await tokens(engine.submit(request(f"good{n}", PROMPT, 3)))
            assert engine.deaths == 2

    asyncio.run(go())


def test_a_client_that_leaves_frees_pages_and_pays_for_what_was_done():
    async def go():
        async with client() as engine:
            stream = engine.submit(request("left", PROMPT, 3000))
            await anext(stream)
            engine.cancel("left", keep=1)
            finished = await stream.ended()
            assert finished.reason == "cancelled" and finished.usage.completion_tokens == 1
            assert sum(finished.usage.nanoseconds) > 0
            assert (await engine.read()).pages_used == 0
            engine.cancel("left")  # late, and no harm
            assert await tokens(engine.submit(request("next", PROMPT, 2)))

    asyncio.run(go())


def test_stopping_ends_every_stream_and_exits_zero():
    async def go(grace):
        engine = await EngineClient.start(Path("model"), CONFIG, factory="toy_runner:make")
        short = engine.submit(request("short", PROMPT, 20))
        long = engine.submit(request("long", PROMPT, 3900))
        await anext(short)
        assert await engine.stop(grace) == 0
        assert engine.deaths == 0 and not engine.alive
        return (await short.ended()).reason, (await long.ended()).reason

    assert asyncio.run(go(0)) == ("cancelled", "cancelled")
    assert asyncio.run(go(1)) == ("length", "cancelled")


def test_ctrl_c_and_terminate_are_the_parents_business():
    async def go():
        async with client() as engine:
            os.kill(engine.pid, signal.SIGINT)
            os.kill(engine.pid, signal.SIGTERM)
            assert len(await tokens(engine.submit(request("a", PROMPT, 5)))) == 5
            assert engine.deaths == 0

    asyncio.run(go())


def test_the_engine_ends_when_its_parent_does():
    read, write = os.pipe()
    if not (parent := os.fork()):
        os.close(read)

        async def die():
            engine = await EngineClient.start(Path("model"), CONFIG, factory="toy_runner:make")
            engine.submit(request("a", PROMPT, 3000))
            await asyncio.sleep(0.05)
            os.write(write, str(engine.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(die())
    os.waitpid(parent, 0)
    pid = int(os.read(read, 20))
    for descriptor in (read, write):
        os.close(descriptor)
    for _ in range(500):
        if not alive(pid):
            return
        time.sleep(0.01)
    raise AssertionError("the engine outlived its parent")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_engine_that_waits_uses_no_cpu():
    async def go():
        async with client() as engine:
            await tokens(engine.submit(request("a", PROMPT, 2)))

            def ticks():
                fields = Path(f"/proc/{engine.pid}/stat").read_text().rsplit(") ", 1)[1].split()
                return int(fields[11]) + int(fields[12])

            before, clock = ticks(), await engine.read()
            await asyncio.sleep(0.5)
            assert ticks() - before <= 1
            assert (await engine.read()).idle - clock.idle >= 300_000_000

    asyncio.run(go())


def test_what_loading_meets_is_raised_here(tmp_path):
    (tmp_path / "damaged").touch()

    async def go():
        async with client(folder=tmp_path):
            pass

    with pytest.raises(FormatError, match="damaged; pull it again"):
        asyncio.run(go())


def test_who_waits_for_an_engine_that_cannot_start_is_told_and_it_is_tried_again(tmp_path):
    async def go():
        async with client(folder=tmp_path) as engine:
            (tmp_path / "damaged").touch()
            os.kill(engine.pid, signal.SIGKILL)
            await until(lambda: engine.deaths)
            with pytest.raises(EngineDied, match=r"could not be started again: .* is damaged"):
                await tokens(engine.submit(request("a", PROMPT)))
            (tmp_path / "damaged").unlink()
            await until(lambda: engine.alive)
            assert await tokens(engine.submit(request("a", PROMPT)))

    asyncio.run(go())


def test_it_can_be_stopped_while_it_is_being_started_again(tmp_path):
    async def go():
        engine = await EngineClient.start(tmp_path, CONFIG, factory="toy_runner:make")
        (tmp_path / "damaged").touch()
        os.kill(engine.pid, signal.SIGKILL)
        await until(lambda: engine.deaths)
        waits = engine.submit(request("waits", PROMPT))
        assert await engine.stop() == 0
        assert (await waits.ended()).reason == "died"
        with pytest.raises(Busy, match="stopping"):
            engine.submit(request("a", PROMPT))

    asyncio.run(go())


def test_a_process_that_cannot_start_says_so(capfd):
    async def go():
        async with client("no_such_module:make"):
            pass

    with pytest.raises(EngineDied, match="loading"):
        asyncio.run(go())
    assert "no_such_module" in capfd.readouterr().err


def test_bad_requests_are_refused_before_they_travel():
    async def go():
        async with client() as engine:
            with pytest.raises(ContextTooLong, match="4096 tokens and at most 4095"):
                engine.submit(request("a", [1] * 4096))
            with pytest.raises(InputError, match="token 61"):
                engine.submit(request("a", [61]))
            engine.submit(request("a", [1]))
            with pytest.raises(InputError, match="under way"):
                engine.submit(request("a", [1]))

    asyncio.run(go())
