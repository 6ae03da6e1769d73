"""Filters: each drops what was planted for it, lets through what is good, and says why."""

import json
from pathlib import Path

import numpy as np
import pytest
from teachers import verb

from farthing.errors import FormatError, InputError
from farthing.learn import card, documents, filters, grams, leaks, tasks
from farthing.learn.documents import Document, Message
from farthing.learn.filtering import Filtering
from farthing.learn.leaks import Leaks
from farthing.learn.minhash import Near
from farthing.learn.tasks import Family

PROSE = (
    "The old sailor had lived in the village for many years, and he knew every child by name. When"
    " the storm came in the autumn, it was he who lit the lamp on the hill. Nobody had asked him to"
    " do so. He said later that he could not sleep, but the fishermen who came home that night knew"
    " better, and from then on there was always some bread and fish at his door in the morning."
)
CHINESE = "从前有一位老渔夫住在海边的小村子里，每天清晨他都划着小船出海打鱼。" * 2


def chat(text: str, **more) -> Document:
    messages = Message("user", "Tell me something."), Message("assistant", text)
    return Document(**({"messages": messages, "language": "en"} | more))


def task(asked: str, said: str, answer: str, template: str = "sum/en/add/train-0") -> Document:
    messages = Message("user", asked), Message("assistant", said)
    return Document(messages=messages, kind="sum", answer=answer, template=template)


DROPPED = {
    "control characters": (filters.Characters(), chat(PROSE + "\x07"), "holds U+0007"),
    "what could not be decoded": (filters.Characters(), chat("a \ufffd b"), "holds U+FFFD"),
    "text that is turned around": (filters.Characters(), chat("a \u202e b"), "holds U+202E"),
    "control characters in a task": (filters.Characters(), task("\x00", "2", "2"), "U+0000"),
    "signs": (filters.Characters(), chat("#### $$$$ ---- ====" + "ab " * 8), "mostly signs"),
    "a word without end": (filters.Characters(), chat("a" * 60), "50 letters"),
    "a short text": (filters.Length(40, 90), chat("Too short."), "under 40 words"),
    "a long text": (filters.Length(40, 90), chat(PROSE * 3), "over 90 words"),
    "lines again and again": (filters.Repetition(), chat("Yes, he said.\n" * 9), "lines"),
    "a loop": (filters.Repetition(), chat(PROSE + " and so he went" * 12), "again and again"),
    "two words in every sentence": (
        filters.Repetition(),
        chat(" ".join(f"So he {word}." for word in PROSE.split())),
        "one run of 2 words",
    ),
    "a passage twice": (filters.Repetition(), chat(PROSE + " Then: " + PROSE), "runs of 5 words"),
    "a Chinese loop": (filters.Repetition(), chat(CHINESE * 3, language="zh"), "again"),
    "Chinese for English": (filters.Language(), chat(CHINESE), "not in en"),
    "English for Chinese": (filters.Language(), chat(PROSE, language="zh"), "not in zh"),
    "German for English": (
        filters.Language("en"),
        chat("Der alte Fischer wohnte seit vielen Jahren im Dorf.", language=None),
        "not in en",
    ),
    "Chinese where English is wanted": (
        filters.Language("en"),
        chat(CHINESE, language="zh"),
        "not in en",
    ),
    "a model that speaks of itself": (
        filters.Phrases(),
        chat("As an AI language model, I have no home. " + PROSE),
        "speaks of itself",
    ),
    "an excuse": (filters.Phrases(), chat("I’m sorry, but I can’t write that."), "itself"),
    "a wrong answer": (filters.Answers(), task("1 + 1?", "3", "2"), "wrong answer"),
    "no sentence before the cut": (
        filters.Ends(),
        chat("It was a dark and", finish="length"),
        "cut off",
    ),
    "a cut text, where these go": (filters.Ends(True), chat(PROSE, finish="length"), "cut off"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_what_is_planted_is_dropped(case):
    filter, document, says = DROPPED[case]
    answer = filter(document)
    assert isinstance(answer, str) and says in answer


EVERY = [
    filters.Characters(),
    filters.Phrases(),
    filters.Ends(),
    filters.Length(),
    filters.Language(),
    filters.Repetition(),
    filters.Answers(),
    Leaks(),
]
GOOD = {
    "prose": chat(PROSE),
    "Chinese prose": chat(CHINESE[:34] + "他的孙子常常在岸边等他回来。", language="zh"),
    "a right answer": task("1 + 1?", "2", "2"),
    "JSON": task("As JSON: Ann is 7.", '{"age": 7, "name": "Ann"}', '{"name": "Ann", "age": 7}'),
    "a text": Document(text=PROSE),
    "another language": Document(text="Der alte Fischer wohnte im Dorf. " + PROSE, language="de"),
}


@pytest.mark.parametrize("filter", EVERY, ids=lambda one: one.name)
@pytest.mark.parametrize("case", GOOD)
def test_what_is_good_passes_unchanged(case, filter):
    assert filter(GOOD[case]) is GOOD[case]


def test_generated_tasks_pass_and_texts_by_grammar_mostly_do():
    for sample in tasks.samples(count=300, seed=1):
        document = sample.document()
        for filter in EVERY:
            if filter.name in ("characters", "answers", "leaks") or sample.answer:
                assert filter(document) is document, (filter.name, sample.prompt)


def test_a_text_that_was_cut_off_ends_with_its_last_sentence():
    for text, left in (
        ('He said: "Go." Then he we', 'He said: "Go."'),
        ("One. Two (2.5 of them", "One."),
        ("他走了。然后他", "他走了。"),
    ):
        answer = filters.Ends()(chat(text, finish="length", id="7"))
        assert isinstance(answer, Document)
        assert (answer.written, answer.id, answer.finish) == (left, "7", "trimmed")
        assert answer.messages is not None and answer.messages[0].content == "Tell me something."
        plain = filters.Ends()(Document(text=text, finish="length"))
        assert isinstance(plain, Document) and plain.text == left


HELD_OUT = [
    task("How much is nine hundred and two plus eleven?", "913", "913", "sum/en/held/test-1"),
    Document(text=PROSE),
]
LEAKED = {
    "its template": task("2 + 2?", "4", "4", "sum/en/held/test-1"),
    "any test template of ours": task("2 + 2?", "4", "4", "sum/en/add/test-0"),
    "its question in another dress": task(
        "How much IS nine hundred and two, plus eleven!", "913", "913"
    ),
    "thirteen words of it": chat("Note: when the storm came in the autumn it was he who lit the."),
}


@pytest.mark.parametrize("case", LEAKED)
def test_a_planted_leak_is_found(case):
    assert isinstance(Leaks(HELD_OUT)(LEAKED[case]), str)


def test_the_words_of_a_test_template_are_a_leak_without_any_held_out_text():
    family = Family(
        kind="sum",
        language="en",
        name="x",
        draw=lambda chance: ({}, ""),
        train=("Please add {a} and {b} for me, and say nothing else at all about it, thank you",),
        test=("Please add {a} and {b} " + " ".join(f"word{i}" for i in range(20)),),
    )
    found = leaks.fragments(13, [family])
    assert len(found) == 20 - 13 + 1
    own = leaks.fragments(13)
    text = next(
        part
        for one in tasks.FAMILIES
        for template in one.test
        for part in leaks.FIELD.split(template)
        if np.isin(grams.grams(grams.hashed(grams.words(part)), 13), own).any()
    )
    assert "words in a row" in str(Leaks()(chat(text)))


def test_every_word_of_a_run_that_comes_again_is_counted():
    words = grams.hashed(["one", "two", "three", "four", "five"] * 2 + ["six"] * 5)
    assert filters.repeated(words[:10], 5) == 1.0
    assert filters.repeated(words, 5) == pytest.approx(10 / 15)
    assert filters.repeated(words[:9], 5) == 0.0


def test_twelve_words_are_no_leak_and_the_length_of_a_run_is_bounded():
    fine = chat("Note: when the storm came in the autumn it was he who.")
    assert Leaks(HELD_OUT)(fine) is fine
    assert isinstance(Leaks(HELD_OUT, 8)(fine), str)
    with pytest.raises(InputError, match="5 to 50"):
        Leaks(HELD_OUT, 3)


def test_every_sample_of_the_test_split_is_a_leak_even_without_its_label():
    held = [sample.document() for sample in tasks.samples(count=200, seed=2, split="test")]
    filter = Leaks(held)
    for document in held:
        assert isinstance(filter(document), str)
        assert isinstance(filter(filters.changed(document, template=None)), str)


def planted(folder: Path) -> Path:
    good = [chat(f"Chapter {i}. " + reworded(i), id=f"good-{i}") for i in range(30)]
    bad = [
        chat("Too short.", id="short"),
        chat(PROSE + " Oh." * 40, id="loop"),
        chat("Chapter 3. " + reworded(3) + " Really.", id="near"),
        task("1 + 1?", "3", "2"),
        task("5 + 5?", "10", "10", "sum/en/add/test-0"),
        chat(PROSE, id="leak"),
        chat(reworded(77) + " And then", id="cut", finish="length"),
    ]
    documents.write(folder, good + bad, lambda folder, shards: None)
    return folder


def reworded(number: int) -> str:
    """Prose that shares few runs of words with that of another number."""
    words = PROSE.split()
    for place in range(number % 3, len(words), 3):
        words[place] = words[(place * (number + 2) + number) % len(words)]
    return " ".join(words)


def test_a_data_set_is_filtered_and_every_drop_is_counted(tmp_path):
    documents.write(tmp_path / "held", [Document(text=PROSE)], lambda folder, shards: None)
    source = planted(tmp_path / "set")
    where = ("filter", source, "-o", tmp_path / "clean", "--held-out", tmp_path / "held")
    process = verb(*where, "--licence", "cc0-1.0", "--json")
    said, complaints = process.communicate()
    assert process.returncode == 0, complaints
    made = card.check(tmp_path / "clean")
    assert json.loads(said)["documents"] == made.documents == 31
    kept = [one.id for one in documents.read(tmp_path / "clean")]
    assert kept == [*(f"good-{i}" for i in range(30)), "cut"]
    dropped = {one.filter: one.documents for one in made.filters if one.documents}
    assert dropped == {"length": 1, "repetition": 1, "answers": 1, "leaks": 2, "duplicates": 1}
    assert {one.filter: one.changed for one in made.filters if one.changed} == {"ends": 1}
    assert "repeats good-3" in next(f for f in made.filters if f.filter == "duplicates").examples[0]
    assert made.parents[0].documents == 37 and made.licence == "cc0-1.0"
    assert "| leaks | 2 |" in (tmp_path / "clean" / "README.md").read_text()


def test_tasks_that_share_most_words_are_different_and_the_same_task_is_one(tmp_path):
    kinds = ", ".join(f"kind number {i}" for i in range(30))
    asked = [(f"Which of {kinds} is the {thing}?", "1") for thing in ("fox", "oak", "fox")]
    documents.write(
        tmp_path / "set",
        [task(question, answer, answer) for question, answer in asked],
        lambda folder, shards: None,
    )
    job = Filtering(sources=[tmp_path / "set"], output=tmp_path / "o", filters=[], near=Near(0.8))
    assert job.run().documents == 2


def test_filtering_twice_drops_nothing_more(tmp_path):
    planted(tmp_path / "set")
    for source, output in (("set", "once"), ("once", "twice")):
        job = Filtering(
            sources=[tmp_path / source],
            output=tmp_path / output,
            filters=EVERY,
            near=Near(0.8),
        )
        made = job.run()
    assert made.documents == made.settings["read"]
    assert not sum(one.documents for one in made.filters)


def test_answers_may_be_written_as_plain_texts(tmp_path):
    documents.write(tmp_path / "set", [chat(PROSE, id="a")], lambda folder, shards: None)
    Filtering(sources=[tmp_path / "set"], output=tmp_path / "t", filters=[], as_text=True).run()
    assert [(one.text, one.messages) for one in documents.read(tmp_path / "t")] == [(PROSE, None)]


def test_nothing_left_a_foreign_card_and_unknown_languages_are_named(tmp_path):
    documents.write(tmp_path / "set", [chat("Short.")], lambda folder, shards: None)
    said = r"no document is left .*: of 1, length dropped 1 \(1 under 40 words\)"
    with pytest.raises(InputError, match=said):
        Filtering(sources=[tmp_path / "set"], output=tmp_path / "o", filters=EVERY).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
    (tmp_path / "set" / "card.json").write_text("[]")
    with pytest.raises(FormatError, match="is no card"):
        Filtering(sources=[tmp_path / "set"], output=tmp_path / "o", filters=[]).run()
    with pytest.raises(InputError, match="'fr' is not known"):
        filters.Language("fr")
    with pytest.raises(InputError, match="least <= most"):
        filters.Length(9, 3)
    with pytest.raises(InputError, match="above 0"):
        filters.Repetition(0)
