"""Prompts grown from seeds: the same for a seed, spread over what there is, refused by name."""

from collections import Counter

import pytest

from farthing.errors import InputError, NotFound
from farthing.learn import seeds
from farthing.learn.documents import Document, Message

OWN = """
language = "de"
[[form]]
kind = "a"
weight = 3
text = "Tell {who} and {who.2} of {what}, {who}."
[[form]]
kind = "b"
text = "No hole."
[lists]
who = "Ada\\nBob"
what = "war\\npeace\\nlove"
"""


def test_a_prompt_depends_on_the_seed_and_its_number_alone():
    one, again, other = seeds.ours(1), seeds.ours(1), seeds.ours(2)
    backwards = {i: again.prompt(i) for i in reversed(range(200))}
    assert [one.prompt(i) for i in range(200)] == [backwards[i] for i in range(200)]
    assert one.sha256 == again.sha256 != other.sha256
    assert sum(one.prompt(i) != other.prompt(i) for i in range(200)) > 190


def test_our_seeds_reach_far():
    own = seeds.ours(0)
    many = [own.prompt(i) for i in range(20_000)]
    asked = [one.messages[0].content for one in many]
    assert len(set(asked)) > 15_000
    assert not [text for text in asked if "{" in text or "}" in text]
    kinds = Counter(one.kind for one in many)
    assert len(kinds) >= 20 and kinds["story"] > kinds["poem"] > 100
    assert sum(len(items) for items in own.lists.values()) > 1000
    for name, items in own.lists.items():
        assert all(any(item in text for text in asked) for item in items), name


def test_two_holes_of_a_list_differ_and_the_same_hole_is_the_same(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    own = seeds.read(tmp_path / "own.toml", 0)
    found = Counter(own.prompt(i) for i in range(400))
    told = {prompt.messages[0].content for prompt in found if prompt.kind == "a"}
    assert told == {
        f"Tell {a} and {b} of {what}, {a}."
        for a, b in (("Ada", "Bob"), ("Bob", "Ada"))
        for what in ("war", "peace", "love")
    }
    assert 240 < sum(n for prompt, n in found.items() if prompt.kind == "a") < 360
    assert {prompt.language for prompt in found} == {"de"}


def test_a_list_of_subjects_goes_into_our_forms(tmp_path):
    (tmp_path / "mine.txt").write_text("the harp\n\nthe lute\n")
    own = seeds.read(tmp_path / "mine.txt", 0)
    asked = [own.prompt(i).messages[0].content for i in range(100)]
    assert all("the harp" in text or "the lute" in text for text in asked)


BAD = {
    "an unknown field": ("colour = 1\n" + OWN, "`colour`"),
    "no form": ("form = []", "no \\[\\[form\\]\\]"),
    "no such list": (OWN.replace("{what}", "{wat}"), "no list 'wat'; there are who, what"),
    "a list too short": (OWN.replace("Ada\\nBob", "Ada"), "wants more of 'who'"),
    "an empty list": (OWN.replace("Ada\\nBob", " \\n"), "lists.who is empty"),
    "an item twice": (OWN.replace("Ada\\nBob", "Ada\\nAda"), "'Ada' twice"),
    "no weight": (OWN.replace("= 3", "= 0"), "weight above 0"),
    "no TOML": (OWN + "]", "own.toml: "),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_seeds_are_named(tmp_path, case):
    text, says = BAD[case]
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(InputError, match=says):
        seeds.read(tmp_path / "own.toml", 0)


def test_no_file_and_no_prompt_are_named(tmp_path):
    with pytest.raises(NotFound, match="no such file of seeds"):
        seeds.read(tmp_path / "none.toml", 0)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="no prompt"):
        seeds.Given.read(tmp_path / "empty.jsonl")
    with pytest.raises(InputError, match="no question"):
        seeds.asked(Document(messages=(Message("assistant", "42"),)))


def test_a_text_is_asked_as_it_stands_and_a_chat_without_its_answer():
    chat = Document(
        messages=(Message("system", "s"), Message("user", "q"), Message("assistant", "a"))
    )
    assert seeds.asked(chat).messages == (Message("system", "s"), Message("user", "q"))
    assert seeds.asked(Document(text="q?")).messages == (Message("user", "q?"),)
