"""Seeds that a teacher adds to: shown a few items of a list, it names more like them.

Its questions are the same for a seed, asked one after the other, and billed as all others. What it
named is kept in asked/grown.json, so that work which is gone on with has the same prompts.
"""

import re
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Protocol

import msgspec

from farthing.errors import FormatError, InputError
from farthing.learn import documents
from farthing.learn.answers import ASKED, Answers, Bill
from farthing.learn.documents import Message
from farthing.learn.endpoint import Answer
from farthing.learn.sample_job import Job
from farthing.learn.seeds import Prompts, Seeds

GROWN = "grown.json"
SHOWN, WANTED = 6, 10
"""Items shown in a question, and how many more it asks for."""
FRUITLESS = 50
"""Questions in a row that bring nothing new: then the teacher has no more to say."""
LONGEST, WORDS = 60, 6
"""Characters and words of an item."""
MARK = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,3}[.):])\s*")


class Asker(Protocol):
    @property
    def job(self) -> Job: ...

    @property
    def model(self) -> str: ...

    async def ask(
        self, request: str, messages: tuple[Message, ...], settings: dict[str, Any]
    ) -> tuple[Bill, Answer | None]: ...


class Grown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    list: str
    items: tuple[str, ...]


async def grown(asker: Asker, answers: Answers) -> Prompts:
    """The job's seeds with what the teacher adds; as it was, if it was grown before.

    Raises InputError where the teacher names too few.
    """
    job, path = asker.job, answers.folder / ASKED / GROWN
    seeds = job.prompts
    assert isinstance(seeds, Seeds), "Job lets nothing else be grown"
    found = _read(path)
    if found is None:
        found = await _ask(asker, answers, seeds)
        draft = path.with_suffix(".partial")
        draft.write_bytes(documents.encode(found))
        draft.replace(path)
    return seeds.grown(found.list, found.items)


async def _ask(asker: Asker, answers: Answers, seeds: Seeds) -> Grown:
    job = asker.job
    name = max(seeds.lists, key=lambda one: len(seeds.lists[one]), default=None)
    if name is None:
        raise InputError("these seeds have no list that could be grown")
    held, new, fruitless = list(seeds.lists[name]), list[str](), 0
    for number in count():
        chance = Random(f"{job.seed} grow {number}")
        shown = chance.sample(held, min(SHOWN, len(held)))
        settings = job.settings(asker.model, number) | {"seed": chance.getrandbits(48)}
        settings.pop("n", None)
        asked = Message("user", question(shown))
        bill, answer = await asker.ask(f"grow-{number:06}", (asked,), settings)
        answers.add(bill, [])
        known = {item.lower() for item in held}
        said = answer.choices[0].message.content or "" if answer else ""
        some = [one for one in named(said) if one.lower() not in known]
        new += some
        held += some
        fruitless = 0 if some else fruitless + 1
        if len(new) >= job.grow:
            return Grown(name, tuple(new[: job.grow]))
        if fruitless == FRUITLESS:
            raise InputError(
                f"the teacher named {len(new)} new items for {name!r} and then no more; grow fewer"
            )
    raise AssertionError("count() does not end")


def question(shown: list[str]) -> str:
    listed = "\n".join(f"- {item}" for item in shown)
    return (
        f"Here is a list:\n{listed}\n"
        f"Write {WANTED} more items like these, each on a line of its own, without explanations."
    )


def named(said: str) -> list[str]:
    """The items of a list as models write it: marks, quotes and full stops are taken off; lines
    that are sentences or headings are not items."""
    found: dict[str, str] = {}
    for line in said.splitlines():
        item = MARK.sub("", line).strip().strip("\"'*_`“”").rstrip(".,;").strip()
        short = 2 < len(item) <= LONGEST and len(item.split()) <= WORDS
        if short and item.isprintable() and not re.search(r"[:!?.{}<>|\\]", item):
            found.setdefault(item.lower(), item)
    return list(found.values())


def _read(path: Path) -> Grown | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Grown)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise FormatError(f"{path} is damaged ({error}); begin in a new folder") from None
