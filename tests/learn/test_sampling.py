"""Sampling from a teacher: nothing lost, nothing doubled, every answer billed, whatever happens."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine
from sqlalchemy import text as sql
from teachers import answer, endpoint, served, toy_server, verb

from farthing.errors import Busy, Denied, InputError, NotFound
from farthing.learn import card, documents, patience, seeds
from farthing.learn.answers import Bill
from farthing.learn.documents import Document, Message
from farthing.learn.sample import Sampler
from farthing.learn.sample_job import Job
from farthing.meter.prices import Price

PRICE = Price(
    name="a/m-1", fresh=10**9, cached=0, decode=2 * 10**9, source="a test", date="2026-01-01"
)


def job_of(folder: Path, url: str, **more) -> Job:
    given = {"prompts": seeds.ours(0), "model": "m-1", "samples": 20, "streams": 4, "price": PRICE}
    return Job(folder=folder, url=url, **(given | more))


def run(job: Job, said: list[str] | None = None) -> Sampler:
    sampler = Sampler(job, say=(said if said is not None else []).append, watch=lambda state: None)
    asyncio.run(sampler.run(asyncio.Event()))
    return sampler


def texts(folder: Path) -> dict[str | None, str]:
    found = [(one.id, one.written) for one in documents.read(folder)]
    assert len(dict(found)) == len(found), "a sample is there twice"
    return dict(found)


def bills(folder: Path) -> list[Bill]:
    path = folder / "asked" / "bills.jsonl"
    return [msgspec.json.decode(line, type=Bill) for line in path.read_bytes().splitlines()]


def so_many(folder: Path, count: int) -> None:
    """Waits until so many answers are there."""
    path = folder / "asked" / "bills.jsonl"
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        time.sleep(0.001)


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of moments instead of a minute."""
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.05)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("server")
    with toy_server(folder) as url:
        yield url, folder / "ledger.db"


def spent(ledger: Path) -> int:
    engine = create_engine(f"sqlite:///{ledger}")
    with engine.connect() as connection:
        found = connection.execute(sql("SELECT sum(nanodollars) FROM farthing_request")).scalar()
    engine.dispose()
    return int(found or 0)


SETTINGS = ["--samples", 120, "--streams", 8, "--max-tokens", 40, "--seed", 3]


def test_killed_again_and_again_it_ends_with_the_same_texts(tmp_path, toy):
    calm = verb("sample", "-o", tmp_path / "calm", "--url", toy[0], *SETTINGS)
    assert "120 documents" in calm.communicate()[0]
    for answers in (5, 37, 90):
        process = verb("sample", "-o", tmp_path / "killed", "--url", toy[0], *SETTINGS)
        so_many(tmp_path / "killed", answers)
        process.kill()
        process.communicate()
    process = verb("sample", "-o", tmp_path / "killed", "--url", toy[0], *SETTINGS)
    assert "120 documents" in process.communicate()[0]
    assert texts(tmp_path / "killed") == texts(tmp_path / "calm")
    assert len(texts(tmp_path / "calm")) == 120


def test_sigterm_stops_it_with_a_card_and_it_goes_on(tmp_path, toy):
    process = verb("sample", "-o", tmp_path / "set", "--url", toy[0], *SETTINGS)
    so_many(tmp_path / "set", 10)
    process.send_signal(signal.SIGTERM)
    said, complaints = process.communicate()
    assert process.returncode == 0 and "goes on from here" in said, complaints
    held = card.check(tmp_path / "set")
    assert 10 <= held.documents == len(texts(tmp_path / "set")) < 120
    process = verb("sample", "-o", tmp_path / "set", "--url", toy[0], *SETTINGS, "--json")
    told = json.loads(process.communicate()[0])
    assert told["documents"] == 120 and told["cost"]["requests"] == 120


def test_the_bills_are_the_ledgers(tmp_path, toy):
    """Our own server says what each answer cost: the card's sum is what its ledger grew by."""
    url, ledger = toy
    time.sleep(1.0)  # what earlier tests left in flight is on the ledger by now
    before = spent(ledger)
    sampler = run(job_of(tmp_path / "set", url, price=None, model=None, max_tokens=8))
    made = [bill.nanodollars or 0 for bill in bills(tmp_path / "set")]
    assert sampler.answers is not None and min(made) > 0
    deadline = time.monotonic() + 10
    while spent(ledger) - before != sum(made):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert sampler.answers.totals.nanodollars == sum(made)


def test_an_endpoint_that_goes_away_is_waited_for(tmp_path, swift, toy):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    said: list[str] = []
    asked = {"samples": 60, "max_tokens": 40, "model": None}
    job = job_of(tmp_path / "set", f"http://127.0.0.1:{port}", **asked)
    sampling = threading.Thread(target=run, args=(job, said))
    with toy_server(tmp_path / "server", port):
        sampling.start()
        so_many(tmp_path / "set", 5)
    while not any("is away" in line for line in said):
        time.sleep(0.01)
    assert sampling.is_alive() and len(bills(tmp_path / "set")) < 60
    with toy_server(tmp_path / "server", port):
        sampling.join(60)
    run(job_of(tmp_path / "calm", toy[0], **asked))
    assert texts(tmp_path / "set") == texts(tmp_path / "calm")
    assert len(bills(tmp_path / "set")) == 60
    assert "is back after" in said[-1]


def test_patience_has_an_end(tmp_path, swift):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{found.getsockname()[1]}"
        with pytest.raises(Busy, match="the same command goes on"):
            run(job_of(tmp_path / "set", url, patience=0.1))


def test_a_question_at_which_the_endpoint_fails_does_not_stop_the_others(tmp_path, swift):
    poison = seeds.ours(0).prompt(7).messages[0].content

    def reply(asked):
        if asked["messages"][-1]["content"] == poison:
            return 500, b'{"error": "out of luck"}'
        return answer()

    with endpoint(reply) as url:
        sampler = run(job_of(tmp_path / "set", url, samples=30))
    assert sampler.answers is not None
    assert "00000007-0" not in texts(tmp_path / "set") and len(texts(tmp_path / "set")) == 29
    refusals = [bill for bill in bills(tmp_path / "set") if bill.refused]
    assert [bill.request for bill in refusals] == ["00000007"]
    assert "out of luck" in (refusals[0].refused or "")


def test_an_outage_of_500s_loses_no_question(tmp_path, swift):
    """Failures without an answer in between are the endpoint's, not the question's."""
    count = Counter[str]()

    def reply(asked):
        count["all"] += 1
        return answer() if count["all"] <= 3 or count["all"] > 60 else (500, b"down")

    with endpoint(reply) as url:
        run(job_of(tmp_path / "set", url))
    assert len(texts(tmp_path / "set")) == 20


TWO = answer()[1].replace(b'"choices": [', b'"choices": [{"message": {}},')
WRONG = {
    "a web page": ((200, b"<html>"), InputError, "no answer as OpenAI"),
    "no usage": ((200, b'{"choices": []}'), InputError, "usage"),
    "two answers": ((200, TWO), InputError, "2 choices came"),
    "counts below zero": (answer(completion_tokens=-1), InputError, ">= 0"),
    "a cost that is no number": (answer(cost="much"), InputError, "cost"),
    "a cost below zero": (answer(cost=-1.0), InputError, "cost -1.0 dollars"),
    "a refusal of the settings": ((400, b"no such field: top_p"), InputError, "no such field"),
    "no key": ((401, b"who are you?"), Denied, "who are you"),
    "no such path": ((404, b"nothing here"), NotFound, "nothing here"),
    "a flood": ((200, b" " * (17 << 20)), InputError, "over 16 MiB"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_endpoint_that_is_none_ends_the_work_at_once(tmp_path, case):
    reply, error, says = WRONG[case]
    with endpoint(lambda asked: reply) as url, pytest.raises(error, match=says):
        run(job_of(tmp_path / "set", url))


def test_an_answer_is_priced_by_a_list_where_the_endpoint_says_no_cost(tmp_path):
    details = {"cached_tokens": 4}
    with endpoint(lambda asked: answer(prompt_tokens_details=details)) as url:
        run(job_of(tmp_path / "set", url, samples=3))
        assert [bill.nanodollars for bill in bills(tmp_path / "set")] == [6000 + 10_000] * 3
        with pytest.raises(InputError, match="no price is known for 'm-1'"):
            run(job_of(tmp_path / "other", url, price=None))
        sampler = run(job_of(tmp_path / "free", url, price=None, unpriced=True, samples=3))
    assert sampler.answers is not None and sampler.answers.totals.unpriced == 3


def test_answers_without_a_word_are_billed_and_not_kept(tmp_path):
    said = iter(["One.", None, " \n", "Two."])
    with endpoint(lambda asked: answer(next(said))) as url:
        sampler = run(job_of(tmp_path / "set", url, samples=4, streams=1))
    assert list(texts(tmp_path / "set").values()) == ["One.", "Two."]
    assert sampler.answers is not None
    assert len(bills(tmp_path / "set")) == 4 and sampler.answers.totals.empty == 2


def test_another_job_is_refused_the_folder_and_more_of_the_same_is_not(tmp_path):
    asked = []

    def reply(body):
        asked.append(body)
        return answer()

    with endpoint(reply) as url:
        run(job_of(tmp_path / "set", url, samples=5))
        run(job_of(tmp_path / "set", url, samples=9, streams=2))
        with pytest.raises(InputError, match=r"begun with temperature = 0.7, and this is 0.5"):
            run(job_of(tmp_path / "set", url, temperature=0.5))
        with pytest.raises(InputError, match="begun with prompts"):
            run(job_of(tmp_path / "set", url, prompts=seeds.ours(1)))
    assert len(asked) == 9 and len({body["seed"] for body in asked}) == 9
    assert len(texts(tmp_path / "set")) == 9


def test_two_processes_do_not_share_a_folder(tmp_path):
    free = threading.Event()

    def reply(body):
        free.wait(30)
        return answer()

    with endpoint(reply) as url:
        first = threading.Thread(target=run, args=(job_of(tmp_path / "set", url),))
        first.start()
        while not (tmp_path / "set" / "asked" / "job.json").exists():
            time.sleep(0.01)
        with pytest.raises(InputError, match="another process is sampling"):
            run(job_of(tmp_path / "set", url))
        free.set()
        first.join(30)
    assert len(texts(tmp_path / "set")) == 20


def test_a_key_is_sent_and_is_nowhere_on_disk(tmp_path):
    with endpoint(lambda asked: answer()) as url:
        run(job_of(tmp_path / "set", url, key="sk-secret"))
    for path in (tmp_path / "set").rglob("*"):
        assert not path.is_file() or b"sk-secret" not in path.read_bytes()
    with pytest.raises(InputError, match="no header can carry"):
        run(job_of(tmp_path / "set", url, key="a\nb"))


def test_several_answers_to_a_question_are_several_documents(tmp_path, toy):
    run(job_of(tmp_path / "set", toy[0], model=None, samples=12, answers=4, max_tokens=16))
    found = texts(tmp_path / "set")
    assert sorted(found) == [f"{n:08}-{k}" for n in range(3) for k in range(4)]
    assert len(set(found.values())) == 12 and len(bills(tmp_path / "set")) == 3


def test_given_prompts_keep_what_they_carry(tmp_path):
    task = Document(
        messages=(Message("user", "1 + 1?"), Message("assistant", "2")),
        kind="sum",
        language="en",
        template="sum/en/train-0",
        answer="2",
    )
    documents.write(tmp_path / "tasks", [task], lambda folder, shards: None)
    asked = []

    def reply(body):
        asked.append([one["content"] for one in body["messages"]])
        return answer("3")

    with endpoint(reply) as url:
        given = seeds.Given.read(tmp_path / "tasks")
        run(job_of(tmp_path / "set", url, prompts=given, samples=2, system="Be brief."))
    assert asked == [["Be brief.", "1 + 1?"]] * 2
    for one in documents.read(tmp_path / "set"):
        assert (one.kind, one.template, one.answer) == ("sum", "sum/en/train-0", "2")
        assert one.written == "3" and one.source == "m-1" and one.finish == "stop"


def test_enough_tokens_are_enough(tmp_path):
    with endpoint(lambda asked: answer()) as url:
        sampler = run(job_of(tmp_path / "set", url, samples=1000, tokens=100, streams=3))
    assert sampler.answers is not None
    assert 100 <= sampler.answers.totals.completion_tokens <= 100 + 3 * 5


def test_settings_out_of_range_are_named(tmp_path):
    for name, value in (("streams", 0), ("temperature", 3.0), ("samples", 0), ("answers", 1000)):
        with pytest.raises(InputError, match=f"{name} is {value}"):
            job_of(tmp_path, "http://h", **{name: value})
    with pytest.raises(InputError, match="all alike"):
        job_of(tmp_path, "http://h", temperature=0, answers=2)
    for url in ("h:80", "ftp://h", "http://", "http://me:key@h"):
        with pytest.raises(InputError, match="expected http"):
            run(job_of(tmp_path, url))


@pytest.mark.slow
def test_the_real_model_says_the_same_alone_and_among_others(tmp_path, smollm2_home):
    """Our engine is exact: how many streams there are changes no text."""
    with served(smollm2_home) as url:
        for streams in (1, 12):
            job = job_of(tmp_path / str(streams), url, model=None, price=None, streams=streams)
            run(replace(job, samples=12, max_tokens=60))
    assert texts(tmp_path / "1") == texts(tmp_path / "12")
    found = card_of_filtered(tmp_path / "12", tmp_path / "clean")
    assert found.documents >= 6 and all("a" in text for text in texts(tmp_path / "clean").values())


def card_of_filtered(source: Path, output: Path) -> card.Card:
    process = verb("filter", source, "-o", output, "--least-words", 10)
    complaints = process.communicate()[1]
    assert process.returncode == 0, complaints
    return card.check(output)


def test_the_card_says_teacher_licence_seeds_cost_and_hashes(tmp_path):
    with endpoint(lambda asked: answer(cost=2.5e-6)) as url:
        where = ("sample", "-o", tmp_path / "set", "--url", url, "--model", "m-1")
        process = verb(*where, "--samples", 10, "--licence", "apache-2.0", "--seed", 5)
        said, complaints = process.communicate()
    assert process.returncode == 0, complaints
    made = card.check(tmp_path / "set")
    assert made.licence == "apache-2.0" and made.documents == 10 and made.cost is not None
    assert made.cost.nanodollars == 25_000 and "$0.0000250" in said
    assert made.teacher == {"model": "m-1", "licence": "apache-2.0"}
    assert made.prompts is not None and made.prompts["sha256"] == seeds.ours(5).sha256
    readme = (tmp_path / "set" / "README.md").read_text()
    for words in ("license: apache-2.0", "part-*.jsonl", made.files[0].sha256, "$0.0000250"):
        assert words in readme
    with (tmp_path / "set" / made.files[0].name).open("ab") as file:
        os.truncate(file.fileno(), 100)
    with pytest.raises(Exception, match="is not the file that the card names"):
        card.check(tmp_path / "set")
