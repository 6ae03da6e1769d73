"""Ledgers to test on: SQLite always, and a real PostgreSQL where this machine has one."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.meter.ledger import Ledger
from needed import postgres_programs

NEEDS = pytest.mark.needs("postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of an empty PostgreSQL of our own, on a Unix socket."""
    bin = postgres_programs()
    assert bin, "a test that asks for this must say that it needs postgresql"
    # As root it refuses to run; somebody else must then own its folder.
    who = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="farthing-pg-"))
    if who:
        os.chown(folder, pwd.getpwnam(who).pw_uid, -1)
    data = folder / "data"
    init = [bin / "initdb", "--no-sync", "-A", "trust", "-U", "farthing", "-E", "UTF8", "-D", data]
    subprocess.run(init, user=who, check=True, capture_output=True, cwd=folder)
    run = [bin / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(run, user=who, cwd=folder, stdout=log, stderr=log)
    try:
        _await(server, bin, folder)
        yield f"postgresql://farthing@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # its fast shutdown
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await(server: "subprocess.Popen[bytes]", bin: Path, folder: Path) -> None:
    for _ in range(200):
        asked = subprocess.run([bin / "pg_isready", "-h", folder], capture_output=True)
        if asked.returncode == 0:
            return
        assert server.poll() is None, (folder / "log").read_text()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise AssertionError((folder / "log").read_text())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=NEEDS)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty ledger may be made."""
    if request.param == "sqlite":
        yield str(tmp_path / "deep" / "ledger.db")
        return
    address: str = request.getfixturevalue("postgresql")
    yield address
    ledger = Ledger(address)
    with ledger._engine.begin() as connection:
        for table in ("request", "clock", "migration"):
            connection.exec_driver_sql(f"DROP TABLE farthing_{table}")
    ledger.close()


@pytest.fixture
def ledger(where: str) -> Iterator[Ledger]:
    opened = Ledger(where)
    yield opened
    opened.close()
