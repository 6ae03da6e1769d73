"""Generated tasks: the same for a seed, of one split alone, answered as their checker says."""

import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from farthing.errors import InputError
from farthing.learn import documents
from farthing.learn.documents import Document
from farthing.learn.tasks import (
    FAMILIES,
    KINDS,
    LANGUAGES,
    Family,
    check,
    classifying,
    files,
    samples,
)
from farthing.learn.tasks.words import pairs

NAMES = [f"{family.kind}/{family.language}/{family.name}" for family in FAMILIES]


def skeleton(template: str) -> str:
    """A template without what may differ unseen: case, punctuation, spaces, names of fields."""
    return re.sub(r"\W+", "", re.sub(r"\{\w+\}", "0", template).lower())


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_a_template_of_the_test_split_is_none_of_training(family: Family):
    assert family.train and family.test
    assert not {skeleton(one) for one in family.train} & {skeleton(one) for one in family.test}


def test_no_question_of_the_test_split_has_a_training_template():
    trained = {skeleton(one) for family in FAMILIES for one in family.train}
    tested = {skeleton(one) for family in FAMILIES for one in family.test}
    assert not trained & tested
    named = {sample.template for sample in samples(count=20_000, seed=1)}
    assert not named & {sample.template for sample in samples(count=20_000, split="test")}


def test_names_of_families_are_their_own():
    assert len(set(NAMES)) == len(NAMES)
    assert {family.language for family in FAMILIES} == set(LANGUAGES)
    found = {(family.kind, family.language) for family in FAMILIES}
    assert found == {(kind, language) for kind in KINDS for language in LANGUAGES}


def test_a_template_stands_once_in_its_family():
    for family in FAMILIES:
        twice = [one for one, count in Counter(family.train + family.test).items() if count > 1]
        assert not twice, (family.name, twice)


def test_the_same_seed_gives_the_same_samples_wherever_one_begins():
    whole = list(samples(count=9000, seed=5))
    assert whole == list(samples(count=9000, seed=5))
    assert whole[4000:4500] == list(samples(count=500, seed=5, first=4000))
    assert whole[:500] != list(samples(count=500, seed=6))


def test_every_answer_is_right_and_another_is_wrong():
    answers = list(samples(count=4000, seed=2)) + list(samples(count=4000, split="test"))
    for sample in answers:
        assert sample.answer == sample.answer.strip() and sample.prompt == sample.prompt.strip()
        assert "\n" not in sample.answer, "an answer in plain text ends at a newline"
        assert check(sample, f" {sample.answer}\n")
        assert check(sample.document(), sample.answer)
        assert not check(sample, "") and not check(sample, f"{sample.answer}1")
        assert len(sample.prompt) < 700 and len(sample.answer) < 400


def test_a_reserved_problem_is_asked_in_one_split_alone():
    def sums(split: str) -> set[tuple[int, ...]]:
        found = samples(
            ("arithmetic",), ("en",), 20_000, 3, "train" if split == "train" else "test"
        )
        numbers = (re.findall(r"\d+", s.prompt) for s in found if "/add-" in s.template)
        return {tuple(sorted(map(int, pair))) for pair in numbers}

    assert not sums("train") & sums("test")


def test_json_is_compared_as_values_and_steps_by_their_result():
    record = {"answer": '{"name": "Ann", "total": 12.5}'}
    assert check(record, '{"total": 12.50, "name": "Ann"}')
    assert check(record, '```json\n{"name":"Ann","total":12.5}\n```')
    for wrong in ('{"name": "Ann"}', '{"name": "Ann", "total": "12.5"}', "Ann", "{" * 3000, "null"):
        assert not check(record, wrong)
    assert not check(record, '{"name": "Bob", "name": "Ann", "total": 12.5}')
    steps = {"answer": "7+5=12, 4+8+1=13: 132"}
    assert check(steps, "5+7=12, 13: 132") is True
    assert not check(steps, "132") and not check(steps, "7+5=12, 4+8+1=13: 133")
    with pytest.raises(InputError, match="answer is None"):
        check({"prompt": "2 + 2"}, "4")


def test_what_is_not_known_is_refused_by_name():
    with pytest.raises(InputError, match="'poetry'"):
        next(samples(("poetry",)))
    with pytest.raises(InputError, match="'fr'"):
        next(samples(KINDS, ("fr",)))


def test_a_data_set_is_whole_and_says_what_it_was_made_of(tmp_path):
    shards = files.write(tmp_path / "made", ("extract",), ("zh",), 300, 4, "test")
    card = json.loads((tmp_path / "made" / "card.json").read_text())
    assert card["documents"] == 300 == sum(shard["documents"] for shard in card["files"])
    assert card["settings"] == {"kinds": "extract", "seed": 4, "split": "test", "turns": 1}
    assert (card["kinds"], card["languages"]) == ({"extract": 300}, {"zh": 300})
    assert [shard.sha256 for shard in shards] == [shard["sha256"] for shard in card["files"]]
    found = list(documents.read(tmp_path / "made"))
    first = [
        sample.document() for sample in islice(samples(("extract",), ("zh",), 300, 4, "test"), 9)
    ]
    assert found[:9] == first and len(found) == 300


def test_a_translated_word_has_one_word_for_it_each_way():
    for held in (pairs.WORDS + pairs.THINGS, pairs.QUALITIES, pairs.PEOPLE, pairs.ACTS):
        for side in (0, 1):
            found = Counter(pair[side] for pair in held)
            assert not [word for word, count in found.items() if count > 1]


def test_a_question_has_one_answer():
    """Of what is known by heart, and of rules: the same question twice is answered alike."""
    for language in LANGUAGES:
        said: dict[str, str] = {}
        for sample in samples(("recall", "translate", "classify"), (language,), 60_000, 8):
            assert said.setdefault(sample.prompt, sample.answer) == sample.answer, sample


def test_a_message_of_a_topic_has_no_other_topics_word():
    for topics in (classifying.TOPICS, classifying.TOPICS_ZH):
        for topic, told in topics.items():
            for text in told:
                assert [word for word in topics if word in text] == [topic]


def test_the_page_on_tasks_names_every_kind_and_counts_the_templates():
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(KINDS)
    assert f"{sum(len(family.train) for family in FAMILIES):,} templates" in page


def test_several_tasks_share_a_chat_and_none_is_left_out():
    asked = list(samples(count=500, seed=4))
    found = list(files.chats(iter(asked), 4, seed=4))
    assert found == list(files.chats(iter(asked), 4, seed=4))
    said = [message for one in found for message in one.messages or ()]
    assert Counter(one.content for one in said[::2]) == Counter(one.prompt for one in asked)
    sizes = Counter(len(one.messages or ()) // 2 for one in found)
    assert set(sizes) == {1, 2, 3, 4}
    for one in found:
        assert [m.role for m in one.messages or ()] == ["user", "assistant"] * turns_of(one)
        assert (one.answer is not None) == (turns_of(one) == 1)
    language = {sample.prompt: sample.language for sample in asked}
    assert all(
        {language[m.content] for m in (d.messages or ())[::2]} == {d.language} for d in found
    )
    with pytest.raises(InputError, match="17 tasks in one chat"):
        list(files.chats(iter(asked), 17, seed=4))


def turns_of(document: Document) -> int:
    return len(document.messages or ()) // 2
