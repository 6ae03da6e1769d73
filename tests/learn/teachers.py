"""Teachers for the sampler's tests: our own server as a process, and endpoints that misbehave."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import farthing

SOURCE = str(Path(farthing.__file__).parents[1])
RUN_TOY = Path(__file__).parents[1] / "server" / "run_toy.py"
MAIN = "import sys; from farthing.cli import main; sys.exit(main())"

Reply = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


@contextmanager
def toy_server(folder: Path, port: int = 0) -> Iterator[str]:
    """farthing's own server with the toy model; its address. It ends with SIGTERM."""
    with _server(str(RUN_TOY), str(folder), str(port)) as url:
        yield url


@contextmanager
def served(home: Path) -> Iterator[str]:
    """`farthing serve` of the real model in a home."""
    words = ("serve", "smollm2-135m", "--port", "0", "--no-measure")
    with _server("-c", MAIN, *words, FARTHING_HOME=str(home)) as url:
        yield url


@contextmanager
def _server(*words: str, **more: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": SOURCE} | more,
    )
    assert process.stdout is not None
    try:
        greeting = process.stdout.readline()
        yield greeting.split(" on ")[1].split(";")[0].strip()
    finally:
        process.send_signal(signal.SIGTERM)
        with process.stdout:
            process.stdout.read()
        process.wait(20)


def verb(*words: object) -> "subprocess.Popen[str]":
    """`farthing learn data ...` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, "learn", "data", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": SOURCE},
    )


def answer(text: str | None = "An answer.", **usage: Any) -> Reply:
    """As OpenAI's API has it."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    used = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} | usage
    return 200, json.dumps({"model": "m-1", "choices": [choice], "usage": used}).encode()


@contextmanager
def endpoint(reply: Callable[[dict[str, Any]], Reply]) -> Iterator[str]:
    """An HTTP server whose every POST is answered by `reply` of its JSON body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, content, *more = reply(json.loads(body))
            with suppress(ConnectionError):  # a sampler that stops leaves at once
                self.send_response(status)
                for name, value in ({"content-length": len(content)} | dict(*more)).items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
