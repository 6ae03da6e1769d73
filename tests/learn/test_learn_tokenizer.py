"""The tokenizers that farthing trains, opened by farthing and by transformers."""

import json

import pytest
from transformers import AutoTokenizer

from farthing.cli import main
from farthing.errors import InputError
from farthing.learn import tokenizer as learn
from farthing.tokenizer import Tokenizer
from learn_texts import chat, data_set, texts

HARD = [
    "",
    "Hello, the 1234 world's\t\n\n  x ",
    "今天天气很好，12.5 度。",
    "a \U0001f600 é \u0301 ﷽ \x00 \x7f",
    " leading, and </s> in it",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = learn.train(texts(), size=600)
    return learn.write(made, tmp_path_factory.mktemp("tok") / "made", context=512, about={})


def test_transformers_reads_the_same_ids(folder):
    ours, theirs = Tokenizer.open(folder), AutoTokenizer.from_pretrained(folder)

    for text in [*HARD, *texts(20)]:
        assert ours.encode(text, add_special=True) == theirs(text)["input_ids"]


def test_transformers_renders_the_same_chat(folder):
    ours, theirs = Tokenizer.open(folder), AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "system", "content": "be  short\n"}, *chat(1)["messages"]]

    for prompt in (True, False):
        given = theirs.apply_chat_template(messages, add_generation_prompt=prompt)
        assert ours.chat(messages, add_generation_prompt=prompt) == given["input_ids"]


def test_any_text_comes_back_to_the_byte(folder):
    tokenizer = Tokenizer.open(folder)
    for text in HARD:
        assert tokenizer.decode(tokenizer.encode(text, parse_special=False)) == text


def test_digits_stand_one_by_one(folder):
    tokenizer = Tokenizer.open(folder)
    for id in range(tokenizer.vocabulary):
        piece = tokenizer.piece(id)
        assert len(piece) == 1 or not any(byte in b"0123456789" for byte in piece)


def test_special_tokens_come_first_and_an_answer_ends_with_its_turn(folder):
    tokenizer = Tokenizer.open(folder)
    assert [tokenizer.encode(text) for text in learn.SPECIAL] == [[i] for i in range(6)]
    assert tokenizer.stop_ids == sorted(tokenizer.encode("</s><|end|>"))


def test_the_same_texts_give_the_same_tokenizer():
    first, second = (learn.train(texts(60), size=500).to_str() for _ in range(2))
    assert first == second


def test_it_has_the_size_that_was_asked_for(folder):
    assert Tokenizer.open(folder).vocabulary == 600


def test_the_template_refuses_a_role_it_does_not_know(folder):
    with pytest.raises(InputError, match="roles are system, user and assistant"):
        Tokenizer.open(folder).chat([{"role": "tool", "content": "x"}])


def test_too_few_texts_for_the_size_are_refused():
    with pytest.raises(InputError, match=r"give \d+ tokens .* 5000 are asked for"):
        learn.train(texts(3), size=5000)


def test_a_size_below_the_bytes_is_refused():
    with pytest.raises(InputError, match="262"):
        learn.train(texts(3), size=262 - 1)


def test_the_verb_trains_on_data_sets_and_plain_texts(tmp_path, capsys):
    data = data_set(tmp_path / "data", [chat(seed) for seed in range(200)])
    plain = tmp_path / "more.txt"
    plain.write_text("\n".join(texts(50)), "utf-8")
    out = tmp_path / "tok"

    words = f"learn tokenizer {data} {plain} -o {out} --size 500 --json".split()
    assert main(words) == 0

    told = json.loads(capsys.readouterr().out)
    assert set(told["languages"]) == {"en", "zh", "other"}
    assert Tokenizer.open(out).vocabulary == 500
    about = json.loads((out / "about.json").read_bytes())
    assert [one["name"] for one in about["data"]] == ["data", "more.txt"]
    assert about["command"] == " ".join(["farthing", *words])
    assert main(words) == 2
    assert "exists" in capsys.readouterr().err
