"""Seeds that a teacher adds to: what it names is taken once, billed, and the same when resumed."""

import asyncio
from collections import Counter

import msgspec
import pytest
from teachers import answer, endpoint

from farthing.errors import FormatError, InputError
from farthing.learn import seeds
from farthing.learn.answers import Bill
from farthing.learn.growing import named
from farthing.learn.sample import Sampler
from farthing.learn.sample_job import Job

SAID = """Here are ten more items:
1. The harp
2) the lute.
- "The organ"
* the harp
the gravity of the situation in which we all find ourselves today
gravity
Oh
{subject}
What is a drum?
• the kettle drum"""


def job_of(folder, url, **more) -> Job:
    return Job(
        folder=folder,
        url=url,
        **({"prompts": seeds.ours(0), "model": "m", "samples": 8, "unpriced": True} | more),
    )


def run(job: Job) -> Sampler:
    sampler = Sampler(job, say=print, watch=lambda state: None)
    asyncio.run(sampler.run(asyncio.Event()))
    return sampler


def test_items_are_read_out_of_what_models_write():
    assert named(SAID) == ["The harp", "the lute", "The organ", "gravity", "the kettle drum"]
    assert named("") == named("I cannot help. Really: no.") == []


def test_what_the_teacher_adds_is_asked_about_and_kept(tmp_path):
    asked = Counter[str]()

    def reply(body):
        text = body["messages"][-1]["content"]
        grows = text.startswith("Here is a list")
        asked["grow" if grows else "ask"] += 1
        return answer(f"- thing {asked['grow']}\n- other {asked['grow']}") if grows else answer()

    with endpoint(reply) as url:
        first = run(job_of(tmp_path / "set", url, grow=5))
        assert asked == {"grow": 3, "ask": 8}
        assert isinstance(first.prompts, seeds.Seeds)
        subjects = first.prompts.lists["subject"]
        assert subjects[-5:] == ("thing 1", "other 1", "thing 2", "other 2", "thing 3")
        again = run(job_of(tmp_path / "set", url, grow=5, samples=10))
        assert asked == {"grow": 3, "ask": 10} and again.prompts.sha256 == first.prompts.sha256
        with pytest.raises(InputError, match="begun with grow = 5, and this is None"):
            run(job_of(tmp_path / "set", url))
    path = tmp_path / "set" / "asked" / "bills.jsonl"
    bills = [msgspec.json.decode(line, type=Bill) for line in path.read_bytes().splitlines()]
    assert [bill.documents for bill in bills if bill.request.startswith("grow")] == [0, 0, 0]
    (tmp_path / "set" / "asked" / "grown.json").write_text("{}")
    with endpoint(reply) as url, pytest.raises(FormatError, match="is damaged"):
        run(job_of(tmp_path / "set", url, grow=5))


def test_a_teacher_with_no_more_to_say_is_named(tmp_path):
    says = "named 1 new items for 'subject' and then no more"
    with endpoint(lambda asked: answer("- the same")) as url, pytest.raises(InputError, match=says):
        run(job_of(tmp_path / "set", url, grow=9))


def test_what_can_not_grow_is_refused(tmp_path):
    given = seeds.Given((seeds.ours(0).prompt(0),), "prompts")
    with pytest.raises(InputError, match="can't be grown"):
        job_of(tmp_path, "http://h", prompts=given, grow=1)
