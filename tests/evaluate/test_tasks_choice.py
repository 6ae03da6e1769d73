"""Multiple choice and exact match: what is asked, how it is counted, which lines are refused."""

import json
from pathlib import Path

import pytest
from told_answers import Told

from farthing.errors import InputError, NotFound
from farthing.evaluate.tasks import choice, exact, lines, run
from farthing.evaluate.tasks.types import Sample
from farthing.meter.rate import MachinePrice
from farthing.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(smollm2: Path) -> Tokenizer:
    return Tokenizer.open(smollm2)


def file(folder: Path, *items: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(json.dumps(item) for item in items) + "\n\n")
    return path


SKY = {"question": "What colour is the sky?", "choices": ["blue", "green as grass"], "answer": 0}
SUM = {"question": "What is 1 + 1?", "choices": ["one", "two", "three"], "answer": "two"}


def test_the_likeliest_choice_is_the_answer_by_its_sum_and_by_its_bytes(tokenizer, tmp_path):
    model = Told(tokenizer, {"blue": -4, "green as grass": -7, "one": -3, "two": -2, "three": -1})
    plain, by_bytes = run(model, [choice.read(file(tmp_path, SKY, SUM))])
    assert (plain.metric, by_bytes.metric) == ("likelihood", "likelihood a byte")
    assert plain.items == [1, 0]  # -4 is above -7; three beats two
    assert by_bytes.items == [0, 0]  # -7 / 14 is above -4 / 4; -1 / 5 above -2 / 3
    assert plain.chance == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert plain.count == 2 and plain.share.mean == 0.5
    assert plain.share.low < 0.2 and plain.share.high > 0.8
    assert plain.tokens_in > 0 == plain.tokens_out
    assert plain.sha256 == by_bytes.sha256


def test_bytes_are_counted_not_characters(tokenizer, tmp_path):
    item = {"question": "Which?", "choices": ["éé", "abc"], "answer": 0}
    _, by_bytes = run(Told(tokenizer, {"éé": -3.6, "abc": -3}), [choice.read(file(tmp_path, item))])
    assert by_bytes.items == [1]


def test_a_plain_question_is_gone_on_with_after_a_space(tokenizer, tmp_path):
    model = Told(tokenizer, {"blue": 0, "green as grass": -1})
    run(model, [choice.read(file(tmp_path, SKY))])
    context = "Question: What colour is the sky?\nAnswer:"
    assert model.asked == [(context, " blue"), (context, " green as grass")]
    model.asked.clear()
    run(model, [choice.read(file(tmp_path, SKY), form="{question} It is")])
    assert model.asked[0] == ("What colour is the sky? It is", " blue")


def test_a_chat_asks_in_the_models_template(tokenizer, tmp_path):
    model = Told(tokenizer, {"blue": 0, "green as grass": -1})
    run(model, [choice.read(file(tmp_path, SKY), chat=True)])
    context, end = model.asked[0]
    assert end == "blue"
    assert context.endswith("What colour is the sky?<|im_end|>\n<|im_start|>assistant\n")


def test_a_score_changes_its_hash_with_what_is_asked(tokenizer, tmp_path):
    model = Told(tokenizer, dict.fromkeys(["blue", "green as grass", "one", "two", "three"], 0.0))
    asked = [
        choice.read(file(tmp_path, SKY)),
        choice.read(file(tmp_path, SKY, SUM)),
        choice.read(file(tmp_path, SKY), chat=True),
        choice.read(file(tmp_path, SKY), form="{question}"),
    ]
    assert len({score.sha256 for score in run(model, asked)}) == 4


def test_seconds_are_priced(tokenizer, tmp_path):
    model = Told(tokenizer, {"blue": 0, "green as grass": -1})
    task = choice.read(file(tmp_path, SKY))
    assert run(model, [task])[0].nanodollars is None
    (score, _) = run(model, [task], price=MachinePrice(hour=3_600_000))
    assert score.nanodollars == round(score.seconds * 1000 * 10**9)


def said(prompt: str, sample: Sample) -> str:
    assert (sample.temperature, sample.stop) == (0, ("\n",))
    return {"Question: What is 1 + 1?\nAnswer:": " 2 ", "The sky is": " very blue indeed"}[prompt]


def test_what_is_written_must_be_the_answer_once_stripped(tokenizer, tmp_path):
    asked = file(
        tmp_path,
        {"question": "What is 1 + 1?", "answer": "2"},
        {"prompt": "The sky is", "answer": "blue"},
    )
    (score,) = run(Told(tokenizer, answer=said), [exact.read(asked)])
    assert score.items == [1, 0] and score.chance == 0
    assert score.tokens_out == 6 and score.metric == "exact match"
    (score,) = run(Told(tokenizer, answer=said), [exact.read(asked, extract=r"\d|bl\w+")])
    assert score.items == [1, 1]
    (score,) = run(Told(tokenizer, answer=said), [exact.read(asked, extract=r"very (\w+)")])
    assert score.items == [0, 1]


GOOD = {"question": "a", "choices": ["b", "c"], "answer": 0}


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ([1], "an object was expected"),
        ({**GOOD, "subject": "x"}, "unknown key 'subject'; known are answer, choices, question"),
        ({**GOOD, "question": " "}, "question is ' '; a text was expected"),
        ({"choices": ["b", "c"], "answer": 0}, "question is missing"),
        ({**GOOD, "choices": ["b"]}, "2 to 1000"),
        ({**GOOD, "choices": "bc"}, "2 to 1000"),
        ({**GOOD, "choices": ["b", 1]}, "a choice is 1"),
        ({**GOOD, "choices": ["b", "b"]}, "twice"),
        ({**GOOD, "answer": 2}, "its index from 0 to 1"),
        ({**GOOD, "answer": -1}, "its index"),
        ({**GOOD, "answer": True}, "its index"),
        ({**GOOD, "answer": "d"}, "one of the choices"),
        ({"question": "a", "choices": ["b", "c"]}, "answer is None"),
    ],
)
def test_a_bad_choice_is_named_by_its_line(tmp_path, item, why):
    with pytest.raises(InputError, match=rf"line 2: .*{why}"):
        choice.read(file(tmp_path, GOOD, item))


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"question": "a", "prompt": "b", "answer": "c"}, 'either a "question" or a "prompt"'),
        ({"answer": "c"}, 'either a "question" or a "prompt"'),
        ({"question": "a", "answer": 3}, "answer is 3"),
        ({"question": "a"}, "answer is missing"),
    ],
)
def test_a_bad_question_is_named_by_its_line(tmp_path, item, why):
    with pytest.raises(InputError, match=rf"line 1: .*{why}"):
        exact.read(file(tmp_path, item))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "holds no item"),
        (b"\n \n", "holds no item"),
        (b"{", "line 1: not JSON"),
        (b"[" * 100_000, "line 1: not JSON"),
        (b'{"question": "\xff"}', "line 1: not UTF-8 text at byte 14"),
        (b'"' + b"x" * lines.LONGEST + b'"', "line 1: 1048578 bytes"),
    ],
)
def test_bad_files_are_refused(tmp_path, raw, why):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=why):
        choice.read(path)


def test_too_many_lines_too_large_files_and_none(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MOST_LINES", 2)
    with pytest.raises(InputError, match="more than 2 items"):
        choice.read(file(tmp_path, GOOD, GOOD, GOOD))
    monkeypatch.setattr(lines, "LARGEST", 10)
    with pytest.raises(InputError, match="split it"):
        choice.read(file(tmp_path, GOOD))
    with pytest.raises(NotFound, match="no such file"):
        choice.read(tmp_path / "none.jsonl")


def test_a_pattern_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="is none"):
        exact.read(file(tmp_path, {"question": "a", "answer": "b"}), extract="(")
