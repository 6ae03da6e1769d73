"""The load client against a server that misbehaves on purpose, and its figures on known times."""

import asyncio
import threading

import msgspec
import pytest

from farthing.bench.felt import Times, report, times
from farthing.bench.serve import Load, serve
from farthing.bench.wires import Outcome
from farthing.errors import InputError

USAGE = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
TOKENS = [b'{"choices":[{"text":"%d"}]}' % i for i in range(3)]
EVENTS = b"".join(b"data: %s\n\n" % body for body in [*TOKENS, USAGE, b"[DONE]"])
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


class Canned:
    """Answers every request with the same bytes, `size` at a time."""

    def __init__(self, answer: bytes, size: int = 1 << 16) -> None:
        self.answer, self.size, self.asked = answer, size, []
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self.reply, "127.0.0.1", 0))
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self.loop.run_forever)

    async def reply(self, reader, writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.asked.append((head, msgspec.json.decode(await reader.readexactly(length))))
        for at in range(0, len(self.answer), self.size):
            writer.write(self.answer[at : at + self.size])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.server.close()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 16])
@pytest.mark.parametrize("answer", [CHUNKED + chunked(EVENTS, 11), CHUNKED + chunked(EVENTS, 999)])
def test_each_text_is_counted_once_however_the_bytes_are_cut(answer, size):
    with Canned(answer, size) as server:
        got = serve(Load(url=server.url, requests=4, concurrency=2))
    assert (got.failed, got.output_tokens, got.prompt_tokens) == (0, 12, 28)
    assert len(server.asked) == 4


def test_a_body_without_chunks_is_read_too():
    with Canned(HEAD + b"\r\n" + EVENTS) as server:
        assert serve(Load(url=server.url, requests=1)).output_tokens == 3


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\nDead", "500"),
        (b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"{}", 2), "503"),
        (CHUNKED + chunked(b'data: {"error":{"message":"died"}}\n\n', 99), "died"),
        (CHUNKED + chunked(b"data: {bad\n\n", 99), "not understood"),
        (CHUNKED + chunked(EVENTS, 99)[:60], "ended early"),
        (b"x" * 100_000, "without an end"),
        (b"", "ended early"),
    ],
)
def test_what_went_wrong_is_said(answer, says):
    with Canned(answer) as server, pytest.raises(InputError, match=says):
        serve(Load(url=server.url, requests=2))


def test_nobody_listening_is_said():
    with pytest.raises(InputError, match="cannot connect"):
        serve(Load(url="http://127.0.0.1:9", requests=1))


def test_prompts_share_their_beginning_and_are_the_same_for_a_seed():
    load = dict(requests=3, prompt_tokens=20, shared_tokens=15, key="secret")
    with Canned(CHUNKED + chunked(EVENTS, 99)) as server:
        serve(Load(url=server.url, **load))
        first = [body["prompt"].split() for _, body in server.asked]
        server.asked.clear()
        serve(Load(url=server.url + "/v1", **load, chat=True, rate=1000.0))
        second = [body["messages"][0]["content"].split() for _, body in server.asked]
    assert sorted(first) == sorted(second) and {len(words) for words in first} == {20}
    assert len({tuple(words[:15]) for words in first}) == 1
    assert len({tuple(words) for words in first}) == 3
    assert b"authorization: Bearer secret" in server.asked[0][0]


def test_figures_of_known_times():
    fast = Outcome(began=0, times=[0.1, 0.2, 0.3], ended=0.3, completion_tokens=3, prompt_tokens=5)
    slow = Outcome(began=1, times=[3.0, 4.0], ended=4.0, completion_tokens=2, prompt_tokens=5)
    lost = Outcome(began=1, ended=2, error="no")
    got = report([fast, slow, lost], 4.0, 0.5, first_seconds=1.0, token_seconds=0.15)

    assert (got.failed, got.first_error) == (1, "no")
    assert got.ttft == Times(1050.0, 1050.0, 2000.0)
    assert got.tpot.p99 == 1000.0 and got.itl.median == 100.0
    assert got.end_to_end.mean == 1650.0
    assert (got.request_rate, got.goodput, got.output_rate) == (0.5, 0.25, 1.25)


def test_p99_is_a_value_that_was_there():
    assert times([i / 1000 for i in range(1, 201)]) == Times(100.5, 100.5, 198.0)


@pytest.mark.parametrize(
    "wrong",
    [{"requests": 0}, {"rate": -1}, {"shared_tokens": 200}, {"url": "https://x"}, {"url": "x"}],
)
def test_a_load_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError):
        Load(**({"url": "http://127.0.0.1"} | wrong))
