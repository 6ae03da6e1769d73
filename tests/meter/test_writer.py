"""Whatever kills the writer, the ledger holds each row once, whole, up to the last batch."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from farthing.errors import Busy, FarthingError
from farthing.meter.attribution import Reading
from farthing.meter.ledger import Ledger
from farthing.meter.rate import cost
from farthing.meter.rows import ClockRow, RequestRow
from farthing.meter.writer import EVERY, Writer
from farthing.usage import Usage

PRICE = 14_407_712
CHILD = """
import sys, threading
from farthing.meter.attribution import Reading
from farthing.meter.ledger import Ledger
from farthing.meter.rows import ClockRow, RequestRow
from farthing.meter.writer import Writer
from farthing.usage import Usage

writer = Writer(Ledger(sys.argv[1]), every=0.02)
i = told = 0
while True:
    for _ in range(10):
        usage = Usage(prompt_tokens=i, completion_tokens=1, nanoseconds=(i * 10**6, 0, i, 0))
        writer.add(RequestRow.billed(
            id=f"request-{i}", key="k", model="m", finish="stop", usage=usage,
            hour_nanodollars=14_407_712, at=i))
        writer.add(ClockRow(
            run="r", begin=i, end=i + 1, spent=Reading(i, 1), hour_nanodollars=14_407_712))
        i += 1
    threading.Event().wait(0.005)
    if writer.fault:
        sys.exit(writer.fault)
    if writer.written > told:
        told = writer.written
        print(told, flush=True)
"""


def row(i):
    return RequestRow.billed(
        id=f"request-{i}",
        key="k",
        model="m",
        finish="stop",
        usage=Usage(prompt_tokens=i, nanoseconds=(i, 0, 0, 0)),
        hour_nanodollars=PRICE,
        at=i,
    )


def killed_while_writing(where, reports):
    """How many rows the child knew to be on the ledger when it was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, where], stdout=subprocess.PIPE, text=True
    ) as child:
        told = [int(child.stdout.readline()) for _ in range(reports)]
        time.sleep(0.003 * reports)  # to die at another point of a batch each time
        child.send_signal(signal.SIGKILL)
        told += [int(line) for line in child.stdout.read().splitlines()]
    assert child.returncode == -signal.SIGKILL
    return told[-1]


def check_whole(where, before):
    """Rows are 0, 1, 2 ... without a gap, each with a bill that its own columns give."""
    ledger = Ledger(where)
    with ledger._engine.begin() as connection:
        query = "SELECT at_ns, id, fresh_tokens, fresh_ns, decode_ns, nanodollars"
        rows = connection.exec_driver_sql(f"{query} FROM farthing_request ORDER BY at_ns").all()
        clocks = connection.exec_driver_sql("SELECT count(*) FROM farthing_clock").scalar()
    ledger.close()
    for i, found in enumerate(rows):
        assert tuple(found) == (i, f"request-{i}", i, i * 10**6, i, cost(i * 10**6 + i, PRICE))
    assert len(rows) + clocks >= before
    assert len(rows) - clocks in (0, 1)  # a batch may end between a request and its clock row
    return len(rows)


def test_a_writer_killed_in_mid_batch_leaves_no_torn_and_no_double_row(where):
    count = 0
    for reports in (1, 2, 5):
        # Each child begins again at request 0: what is there already is not doubled.
        told = killed_while_writing(where, reports)
        count = check_whole(where, told)
    assert count
    if "://" not in where:
        with sqlite3.connect(where) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


def test_at_most_a_second_is_ever_unwritten(tmp_path):
    assert EVERY <= 1
    ledger = Ledger(tmp_path / "ledger.db")
    writer = Writer(ledger)
    writer.add(row(0))
    while not writer.written:  # nobody flushes: the thread does; the suite's limit ends us
        time.sleep(0.01)
    assert ledger.total().requests == 1
    writer.close()
    ledger.close()


def test_close_writes_the_rest(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    with Writer(ledger, every=3600) as writer:
        for i in range(100):
            writer.add(row(i))
        writer.add(
            ClockRow(run="r", begin=1, end=2, spent=Reading(1, 2, 3), hour_nanodollars=PRICE)
        )
        assert ledger.total().requests == 0
    assert ledger.total().requests == 100
    assert ledger.clock().spent == Reading(1, 2, 3)
    assert writer.written == 101
    ledger.close()


def test_rows_from_many_threads_are_all_written(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")

    def add(first):
        for i in range(first, first + 500):
            writer.add(row(i))

    with Writer(ledger, every=0.001) as writer:
        threads = [threading.Thread(target=add, args=(n * 500,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ledger.total().requests == 4000
    ledger.close()


def test_rows_wait_while_the_ledger_cannot_be_written_and_lose_nothing(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON farthing_request"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    writer = Writer(ledger, every=3600, most=3)
    for i in range(3):
        writer.check()
        writer.add(row(i))
        with pytest.raises(FarthingError, match="disk full"):
            writer.flush()
    assert "disk full" in writer.fault
    with pytest.raises(Busy, match="disk full"):
        writer.check()
    db.execute("DROP TRIGGER full")
    db.close()
    writer.add(row(3))
    writer.close()
    assert writer.fault is None
    assert ledger.total().requests == 4
    ledger.close()
