"""Calibration text: what of a file is read, what the model writes itself, and what is refused."""

import json

import numpy as np
import pytest

from farthing.engine.engine import Engine, EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request, Sampling
from farthing.errors import InputError, NotFound
from farthing.quantize import text
from farthing.tokenizer import Tokenizer
from server.toy_model import write_toy

CHAT = [{"role": "user", "content": "abc"}, {"role": "assistant", "content": "d"}]


@pytest.fixture
def toy(tmp_path):
    """Every byte a token; a chat template."""
    write_toy(tmp_path / "toy")
    return Tokenizer.open(tmp_path / "toy")


@pytest.fixture
def file(tmp_path):
    def write(held: str | bytes, name: str = "mine.txt"):
        path = tmp_path / name
        path.write_bytes(held if isinstance(held, bytes) else held.encode())
        return path

    return write


def test_samples_are_spread_over_the_whole_text_and_do_not_overlap(toy, file):
    held = "".join(chr(97 + i % 26) for i in range(1000))
    found = text.samples_of(file(held), toy, samples=7, length=100)
    assert [len(ids) for ids in found] == [100] * 7
    assert all(ids.dtype == np.int32 for ids in found)
    ids = toy.encode(held)
    assert found[0].tolist() == ids[:100] and found[-1].tolist() == ids[-100:]
    tight = text.samples_of(file(held), toy, samples=10, length=100)
    assert np.concatenate(tight).tolist() == ids


def test_a_text_with_room_for_fewer_gives_fewer_and_all_whole(toy, file):
    found = text.samples_of(file("a" * 250), toy, samples=7, length=100)
    assert [len(ids) for ids in found] == [100, 100]
    assert len(text.samples_of(file("a" * 199), toy, samples=7, length=100)) == 1


def test_a_text_shorter_than_one_sample_is_refused_with_both_counts(toy, file):
    with pytest.raises(InputError, match=r"mine\.txt has 99 tokens, and one sample takes 100"):
        text.samples_of(file("a" * 99), toy, samples=1, length=100)


def test_lines_of_json_are_texts_or_chats_in_the_models_own_template(toy, file):
    lines = [json.dumps({"text": "ab"}), "", json.dumps({"messages": CHAT})]
    expected = toy.encode("ab") + toy.chat(CHAT, add_generation_prompt=False)
    path = file("\n".join(lines), "mine.jsonl")
    (found,) = text.samples_of(path, toy, samples=1, length=len(expected))
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", r"line 2: '\[1\]'"),
        ('{"content": "a"}', 'line 2: .*"text".*"messages"'),
        ('{"text": 1}', "line 2"),
        ('{"text": "a", "messages": [{"role": "user", "content": "a"}]}', "line 2"),
        ('{"messages": []}', "line 2"),
        ('{"messages": ["hello"]}', "line 2"),
        ('{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', "line 2: .*'image'"),
    ],
)
def test_a_line_that_is_neither_is_named(line, told, toy, file):
    path = file('{"text": "a"}\n' + line, "mine.jsonl")
    with pytest.raises(InputError, match=told):
        text.samples_of(path, toy, samples=1, length=1)


def test_what_is_no_text_is_refused(toy, file, tmp_path, monkeypatch):
    def read(path):
        text.samples_of(path, toy, samples=1, length=1)

    with pytest.raises(NotFound, match="no such file"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match="not UTF-8 text at byte 1"):
        read(file(b"a\xff"))
    monkeypatch.setattr(text, "LARGEST", 10)
    with pytest.raises(InputError, match="samples take less"):
        read(file("a" * 11))


def test_the_model_writes_the_same_for_a_seed_and_other_text_for_another(smollm2):
    def written(**changed):
        given = {"samples": 3, "length": 40, "seed": 3} | changed
        return text.written_by(smollm2, **given)

    first = written()
    assert [len(ids) for ids in first] == [40] * 3
    assert text.digest(written(threads=1)) == text.digest(first)
    assert text.digest(written(seed=4)) != text.digest(first)
    assert text.digest(written(samples=2)) == text.digest(first[:2])


def test_what_the_model_writes_is_sampled_as_it_would_be_alone_from_all_it_could_say(smollm2):
    made = text.written_by(smollm2, samples=3, length=48, seed=0)
    config = EngineConfig(threads=1, prefix_cache=False)
    engine = Engine(NativeRunner(smollm2, config), config)
    for index, start in enumerate(text.begun(Tokenizer.open(smollm2), 3, 48)):
        sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0, seed=0, choice=index)
        ask = Request(id="a", tokens=start, max_tokens=48 - len(start), sampling=sampling)
        engine.submit(ask)
        ids = list(start)
        while not engine.idle:
            ids += [token.id for token in engine.step().tokens]
        assert made[index].tolist() == ids


def test_progress_ends_at_all_tokens(smollm2):
    heard: list[tuple[int, int]] = []
    text.written_by(
        smollm2, samples=2, length=40, seed=0, told=lambda *counts: heard.append(counts)
    )
    assert heard[-1] == (80, 80) and heard == sorted(heard)


def test_beginnings_are_plain_and_chats(smollm2, toy):
    tokenizer = Tokenizer.open(smollm2)
    starts = [tokenizer.decode(ids, special=True) for ids in text.begun(tokenizer, 23, 64)]
    assert "The" in starts and sum("<|im_start|>assistant\n" in start for start in starts) == 12
    assert len(set(starts)) == len(text.BEGINNINGS) + len(text.QUESTIONS) - 1


def test_a_sample_longer_than_the_model_reads_is_refused(smollm2):
    with pytest.raises(InputError, match="a sample is 16384 tokens, and the model reads"):
        text.written_by(smollm2, samples=1, length=1 << 14, seed=0)


def test_a_sample_too_short_to_begin_is_refused(toy):
    with pytest.raises(InputError, match="no beginning fits"):
        text.begun(toy, 1, 1)
