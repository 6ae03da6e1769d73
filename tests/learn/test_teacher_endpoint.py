"""An OpenAI endpoint from outside: which models it has, what it asks for, and what it may not."""

import asyncio
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from teachers import answer, endpoint, toy_server

from farthing.errors import InputError
from farthing.learn import patience
from farthing.learn.documents import Message
from farthing.learn.endpoint import LARGEST, Endpoint, Gone, PromptDetails, Usage, base, cost
from farthing.learn.patience import Patience
from farthing.meter.prices import Price

ASKED = (Message("user", "Why?"),)


def ask(url: str, **settings):
    async def once():
        async with Endpoint(url, key=None, streams=1) as one:
            return await one.ask(ASKED, {"model": "m"} | settings)

    return asyncio.run(once())


def test_the_one_model_of_our_server_needs_no_name(tmp_path):
    async def once(url):
        async with Endpoint(url, key=None, streams=1) as one:
            return await one.only_model()

    with toy_server(tmp_path) as url:
        assert asyncio.run(once(url)) == "toy"


def test_several_models_are_listed():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps({"data": [{"id": "small"}, {"id": "large"}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()

    async def once():
        async with Endpoint(f"http://127.0.0.1:{server.server_port}", key=None, streams=1) as one:
            return await one.only_model()

    with pytest.raises(InputError, match=r"serves 2 models \(small, large\); name one"):
        asyncio.run(once())
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_busy_endpoint_is_given_the_pause_it_asks_for(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.001)
    times: list[float] = []

    def reply(body):
        times.append(time.monotonic())
        return answer() if len(times) > 1 else (429, b"slowly", {"retry-after": "1"})

    said: list[str] = []

    async def once(url):
        async with Endpoint(url, key=None, streams=1) as one:
            waits = Patience(one.url, 60, said.append)
            return await waits.ask(lambda: one.ask(ASKED, {}))

    with endpoint(reply) as url:
        assert asyncio.run(once(url)).usage.completion_tokens == 5
    assert times[1] - times[0] > 0.99
    assert "HTTP 429: slowly" in said[0] and "is back" in said[1]


def test_a_redirect_is_not_followed_and_a_flood_is_not_read():
    """A key would go elsewhere."""
    with endpoint(lambda body: answer()) as there:
        away = {"location": f"{there}/v1/chat/completions"}
        with endpoint(lambda body: (307, b"", away)) as url:
            assert ask(there).usage.completion_tokens == 5
            with pytest.raises(InputError, match="HTTP 307"):
                ask(url)
    flood = b" " * (LARGEST + 1)
    with endpoint(lambda body: (200, flood)) as url, pytest.raises(InputError, match="16 MiB"):
        ask(url)


def test_nobody_there_is_gone():
    with pytest.raises(Gone, match="ConnectError"):
        ask("http://127.0.0.1:9")


def test_addresses():
    assert (
        base("http://h:80") == base("http://h:80/") == base("http://h:80/v1/") == "http://h:80/v1"
    )
    assert base("https://h/api/openai") == "https://h/api/openai"


def test_money_is_what_the_endpoint_says_or_a_price_list_s():
    price = Price(name="n", fresh=3, cached=1, decode=5, source="s", date="d")
    used = Usage(prompt_tokens=2_000_000, completion_tokens=1_000_000)
    assert cost(used, price) == 11 and cost(used, None) is None
    assert cost(Usage(prompt_tokens=1, completion_tokens=1, cost=0.0), price) == 0
    assert cost(Usage(prompt_tokens=1, completion_tokens=1, cost=1.5e-9), None) == 2
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="dollars"):
            cost(Usage(prompt_tokens=1, completion_tokens=1, cost=wrong), price)


def test_no_more_is_cached_than_was_asked():
    """What is left of the prompt is paid in full: it must not come out below nothing."""
    usage = Usage(
        prompt_tokens=5, completion_tokens=1, prompt_tokens_details=PromptDetails(cached_tokens=9)
    )
    assert usage.cached_tokens == 5
