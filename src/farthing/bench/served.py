"""Our own server in processes of its own, under load over HTTP: its speed and its memory.

The load's client runs in this process and shares the machine's cores with the server.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from farthing.bench.felt import Report
from farthing.bench.memory import Private, children, private
from farthing.bench.serve import Load, serve
from farthing.errors import FarthingError

PAGE = 64
PATIENCE = 60.0
SERVE = "import sys; from farthing.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    url: str
    process: int

    def processes(self) -> list[int]:
        """The server's and its engine's."""
        return [self.process, *children(self.process)]

    def private(self) -> Private:
        """Of both together."""
        each = [private(one) for one in self.processes()]
        return Private(own=sum(one.own for one in each), file=sum(one.file for one in each))


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[Server]:
    """A server of this model on a free port of the loopback; ended when the block ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    words = ["serve", str(folder), "--port", str(port), "--no-measure", *flags]
    with TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", SERVE, *words],
                stdout=out,
                stderr=out,
                env=os.environ | {"FARTHING_LEDGER": str(Path(scratch) / "ledger.db")},
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process, log)
            yield Server(url=url, process=process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def load(server: Server, *, streams: int, prompt: int, output: int, seed: int) -> Report:
    """That many streams that start together, every prompt different."""
    return serve(
        Load(
            url=server.url,
            concurrency=streams,
            requests=streams,
            prompt_tokens=prompt,
            output_tokens=output,
            seed=seed,
        )
    )


def pages_taken(report: Report) -> int:
    """Pages that the streams of a load held at once, all of them about as long."""
    each = (report.prompt_tokens + report.output_tokens) / report.requests
    return report.requests * -(-int(each) // PAGE)


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise FarthingError(f"the server did not start: {log.read_text().strip()[-500:]}")
