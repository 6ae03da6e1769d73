"""Texts made by grammar: the same for a seed, whole, and in agreement with themselves."""

import re
import string
from hashlib import sha256
from random import Random

import pytest

from farthing.errors import InputError
from farthing.learn import documents
from farthing.learn.tasks import files, samples
from farthing.learn.tasks.texts import KINDS, texts
from farthing.learn.tasks.texts.beats import Plot
from farthing.learn.tasks.texts.choosing import PLOTS

EVERY = [(key, plot) for key, plots in PLOTS.items() for plot in plots]
FEW = {"creature", "matter", "saying", "poem", "dish"}
"""Tables of facts, rather than what is drawn anew."""
TOLD = [
    pytest.param(key, plot, id="/".join((*key, plot.name))) for key, plot in EVERY if not plot.chat
]
NAMES = [f"{kind}/{language}/{plot.name}" for (kind, language), plot in EVERY]


def test_names_of_plots_are_their_own():
    assert len(set(NAMES)) == len(NAMES)


def test_the_same_seed_gives_the_same_texts():
    first = list(texts(count=1500, seed=3))
    assert first == list(texts(count=1500, seed=3))
    assert first[:100] != list(texts(count=100, seed=4))
    assert first[:100] != list(texts(count=100, seed=3, split="test"))


@pytest.mark.parametrize(("key", "plot"), TOLD)
def test_every_wording_can_be_filled_and_nothing_is_left_open(key: tuple[str, str], plot: Plot):
    cast = plot.cast(Random(1))
    parse = string.Formatter().parse
    slots = {slot[1] for beat in plot.beats for line in beat for slot in parse(line)}
    assert slots - {None, ""} <= cast.keys()
    for seed in range(200):
        told = plot.told(Random(seed))
        assert told == told.strip() and 20 < len(told) < 700
        assert not re.search(r"[{}]|None|  |\n | \n|。。|，。|\.\.|\|", told), told


def test_a_greeting_is_a_chat_of_turns():
    found = list(texts(("greeting",), ("en", "zh"), 300, 1))
    for one in found:
        roles = [message.role for message in one.messages or ()]
        assert roles and roles == ["user", "assistant"] * (len(roles) // 2)
    assert len({one.body for one in found}) > 200


@pytest.mark.parametrize(("key", "plot"), TOLD)
def test_a_text_is_hardly_ever_told_twice(key: tuple[str, str], plot: Plot):
    rng = Random(5)
    told = {plot.told(rng) for _ in range(300)}
    assert len(told) > (30 if plot.name in FEW else 270)


def test_a_bill_adds_up():
    found = texts(("talk",), ("zh",), 4000, 7)
    talks = [one.text or "" for one in found if "/shop" in (one.template or "")]
    assert len(talks) > 500
    for talk in talks:
        each = int(re.findall(r"(\d+)元一[^共]", talk)[-1])
        total = int(re.findall(r"(?:一共|总共)(\d+)元", talk)[0])
        paid = int(re.findall(r"(?:给您|这是)(\d+)元", talk)[-1])
        change = int(re.findall(r"找您(\d+)元", talk)[0])
        assert total % each == 0 and paid - total == change >= 0, talk


def test_tasks_and_texts_are_data_sets_of_their_own(tmp_path):
    with pytest.raises(InputError, match="of their own"):
        files.write(tmp_path / "a", ("story", "sort"), ("zh",), 10, 0, "train")
    files.write(tmp_path / "b", ("texts",), ("en", "zh"), 400, 0, "train")
    found = list(documents.read(tmp_path / "b"))
    assert {one.kind for one in found if one.messages} == {"greeting"}
    assert {one.kind for one in found} == set(KINDS)
    assert {one.language for one in found} == {"en", "zh"}


def test_a_kind_of_text_that_no_language_has_is_refused():
    with pytest.raises(InputError, match="no text of kind story is in en"):
        next(texts(("story",), ("en",)))
    with pytest.raises(InputError, match="'poem'"):
        next(texts(("poem",)))


def test_what_was_made_once_is_made_again():
    """Data of a published model is named by its command. Who changes these bytes changes what that
    command makes: then say so in the log, and take the new hashes."""
    asked = samples(count=3000, seed=1)
    tasks = sha256("".join(f"{one.prompt}{one.answer}" for one in asked).encode())
    told = sha256("".join(one.body for one in texts(count=3000, seed=1)).encode())
    assert tasks.hexdigest()[:16] == "14eabf52853e41f8"
    assert told.hexdigest()[:16] == "5a3b82e30525da19"
