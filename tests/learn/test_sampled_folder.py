"""A folder of answers that was left half-written: cut to what is whole, and asked for again."""

import subprocess
import sys

import pytest
from teachers import SOURCE

from farthing.errors import FormatError, InputError
from farthing.learn import documents
from farthing.learn.answers import Answers, Bill
from farthing.learn.documents import Document

JOB = {"model": "m", "seed": 0}


def bill(request: str, count: int) -> Bill:
    return Bill(request=request, at=1, model="m", documents=count, nanodollars=7, finish=("stop",))


def fill(folder, sizes=(2, 1, 3)) -> None:
    answers = Answers(folder, JOB)
    for number, size in enumerate(sizes):
        kept = [Document(id=f"r{number}-{k}", text=f"text {number} {k} 的") for k in range(size)]
        answers.add(bill(f"r{number}", size), kept)
    answers.close()


def ids(folder) -> list[str | None]:
    return [one.id for one in documents.read(folder)]


@pytest.mark.parametrize("name", ["part-00000.jsonl", "asked/bills.jsonl"])
def test_cut_at_any_byte_only_whole_requests_are_left(tmp_path, name):
    fill(tmp_path / "whole")
    held = (tmp_path / "whole" / name).read_bytes()
    every = ids(tmp_path / "whole")
    for size in range(len(held)):
        folder = tmp_path / str(size)
        fill(folder)
        (folder / name).write_bytes(held[:size])
        answers = Answers(folder, JOB)
        answers.close()
        left = ids(folder) if answers.done else []
        assert left == [id for id in every if id and id[:2] in answers.done]
        assert answers.totals.documents == len(left)
        assert len(answers.done) < 3


def test_a_request_that_is_asked_again_is_billed_twice_and_there_once(tmp_path):
    fill(tmp_path / "set")
    path = tmp_path / "set" / "part-00000.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    answers = Answers(tmp_path / "set", JOB)
    assert answers.done == {"r0", "r1"}
    answers.add(bill("r2", 1), [Document(id="r2-0", text="anew")])
    assert answers.totals.documents == 4 and answers.totals.nanodollars == 28
    answers.close()
    again = Answers(tmp_path / "set", JOB)
    again.close()
    assert again.done == {"r0", "r1", "r2"} and again.totals == answers.totals
    assert ids(tmp_path / "set") == ["r0-0", "r0-1", "r1-0", "r2-0"]


def test_documents_without_a_bill_in_the_middle_are_named(tmp_path):
    fill(tmp_path / "set")
    path = tmp_path / "set" / "asked" / "bills.jsonl"
    first, _, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + last)
    with pytest.raises(FormatError, match="request r1 do not match its bill"):
        Answers(tmp_path / "set", JOB)


def test_damaged_files_are_named(tmp_path):
    for name in ("asked/bills.jsonl", "asked/job.json"):
        fill(tmp_path / name)
        path = tmp_path / name / name
        path.write_bytes(b"{]\n" + path.read_bytes())
        with pytest.raises(FormatError, match="is damaged"):
            Answers(tmp_path / name, JOB)
    with pytest.raises(InputError, match="begun with seed = 0, and this is 1"):
        fill(tmp_path / "other")
        Answers(tmp_path / "other", JOB | {"seed": 1})


def test_a_new_file_is_begun_when_one_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "SHARD", 100)
    fill(tmp_path / "set", (1,) * 20)
    assert len(documents.files(tmp_path / "set")) > 3
    answers = Answers(tmp_path / "set", JOB)
    answers.close()
    assert len(answers.done) == 20


FULL = """
import resource, signal, sys
from pathlib import Path
from farthing.errors import DiskFull
from farthing.learn.answers import Answers, Bill
from farthing.learn.documents import Document
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
answers = Answers(Path(sys.argv[1]), {"model": "m", "seed": 0})
try:
    for number in range(1000):
        bill = Bill(request=f"r{number}", at=1, model="m", documents=1)
        answers.add(bill, [Document(id=f"r{number}-0", text="x" * 300)])
except DiskFull as error:
    print(number, error)
"""


def test_a_full_disk_leaves_what_was_kept_whole(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "set"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": SOURCE},
    )
    kept = int(ran.stdout.split()[0])
    assert kept > 5 and "File too large" in ran.stdout
    assert len(ids(tmp_path / "set")) == kept
    answers = Answers(tmp_path / "set", JOB)
    answers.close()
    assert answers.done == {f"r{number}" for number in range(kept)}
