"""A server as a process of its own, as a user would start it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from sqlalchemy import create_engine, text

import farthing

RUN = Path(__file__).with_name("run_toy.py")
SOURCE = Path(farthing.__file__).parents[1]


class Served:
    def __init__(self, folder: Path, *settings: str, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(RUN), str(folder), "0", *settings],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        )
        self.said = ""
        self.complaints = ""
        self._readers = [
            threading.Thread(target=self._read, args=(name,)) for name in ("stdout", "stderr")
        ]
        self._greeted = threading.Event()
        for reader in self._readers:
            reader.start()
        self._greeted.wait(60)
        found = re.search(r" on (http://\S+?)(?:;| )", self.said)
        assert found, f"no greeting: {self.said}\n{self.complaints}"
        self.url = found[1]

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            for line in pipe:
                if name == "stdout":
                    self.said += line
                    if line.startswith("try"):
                        self._greeted.set()
                else:
                    self.complaints += line
        self._greeted.set()

    @property
    def api(self) -> str:
        return f"{self.url}/v1"

    def measured(self) -> None:
        """Waits until it has told its speed."""
        while "[machine]" not in self.said:
            assert self.process.poll() is None
            time.sleep(0.02)

    def end(self, *signals: int) -> int:
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        try:
            code = self.process.wait(10)  # what a service manager grants, at the least
        finally:
            self.process.kill()
            for reader in self._readers:
                reader.join()
        return code

    def rows(self, query: str = "SELECT * FROM farthing_request ORDER BY at_ns") -> list:
        """What stands in the ledger now."""
        engine = create_engine(f"sqlite:///{self.folder / 'ledger.db'}")
        with engine.connect() as connection:
            found = connection.execute(text(query)).all()
        engine.dispose()
        return found

    def counters(self) -> dict[str, float]:
        """/metrics by name, labels left out, histograms' buckets too."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name.partition("{")[0]: float(value) for name, _, value in pairs}


@contextmanager
def serving(folder: Path, *settings: str, **environment: str):
    served = Served(folder, *settings, **environment)
    try:
        yield served
    finally:
        served.end()
