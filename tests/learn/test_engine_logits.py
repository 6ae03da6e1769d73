"""Our engine's logits, kept: the very numbers, where learned, and gone on with where stopped."""

import json

import numpy as np
import pytest
import torch
from taught import chat, corpus, teacher

from farthing.cli import main
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.errors import InputError
from farthing.learn import engine_logits, pack
from farthing.learn.corpus import Corpus
from farthing.learn.engine_logits import STEP, Settings, steps, write
from farthing.learn.kept_logits import Kept


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FARTHING_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path):
    return teacher(tmp_path / "teacher")


def alone(model, ids):
    """[T, V] of one document that is alone in the engine, a few tokens at a time."""
    runner = NativeRunner(model, EngineConfig(max_step_tokens=64, threads=1))
    found = []
    for begin in range(0, len(ids), 64):
        piece = engine_logits.Piece(0, begin, np.asarray(ids[begin : begin + 64], np.int32), False)
        rows = np.arange(len(piece.ids), dtype=np.int32)
        found.append(runner.logits(engine_logits._native_step([piece], rows)))
    return np.concatenate(found)


def test_kept_is_what_the_engine_makes_of_each_document_alone(model, tmp_path):
    corpus(tmp_path / "train", model)
    kept = write(tmp_path / "train", model, tmp_path / "kept", Settings(top=5, draws=2), threads=1)
    opened = Corpus.open(tmp_path / "train")
    assert np.diff(opened.starts).max() > STEP, "one document takes several steps"

    for start, stop in zip(opened.starts[:-1], opened.starts[1:], strict=True):
        p = torch.softmax(torch.from_numpy(alone(model, opened.tokens[start : stop - 1])), -1)
        likeliest = p.topk(5)
        mine = slice(start, stop - 1)
        np.testing.assert_array_equal(kept.top_ids[mine], likeliest.indices.numpy())
        np.testing.assert_allclose(kept.top[mine], likeliest.values.numpy(), rtol=1e-3)
        assert (kept.top[stop - 1] == 0).all(), "the last token has no successor"


def test_only_successors_that_are_learned_are_asked_for(model, tmp_path):
    corpus(tmp_path / "train", model, answers_only=True)
    opened = Corpus.open(tmp_path / "train")
    kept = write(tmp_path / "train", model, tmp_path / "kept", Settings(top=3, draws=1), threads=1)

    learned = np.flatnonzero(opened.learned)
    assert kept.about["asked"] == len(learned) < len(opened.tokens) / 2
    assert (kept.top[learned - 1, 0] > 0).all()


def test_stopped_and_gone_on_with_is_never_stopped(model, tmp_path, monkeypatch):
    corpus(tmp_path / "train", model, count=40)
    settings = Settings(top=4, draws=4, seed=9)
    whole = write(tmp_path / "train", model, tmp_path / "whole", settings, threads=1)
    monkeypatch.setattr(engine_logits, "FLUSHED", 0.0)

    class Stopped(Exception):
        pass

    real = NativeRunner.logits
    for calls in (1, 2) * 8:  # also amid documents of several steps
        left = iter(range(calls))

        def dies(runner, step, left=left):
            if next(left, None) is None:
                raise Stopped
            return real(runner, step)

        monkeypatch.setattr(NativeRunner, "logits", dies)
        with pytest.raises(Stopped):
            write(tmp_path / "train", model, tmp_path / "part", settings, threads=1)
        assert not (tmp_path / "part").exists()
    monkeypatch.setattr(NativeRunner, "logits", real)
    part = write(tmp_path / "train", model, tmp_path / "part", settings, threads=1)

    for name in ("top_ids", "top", "drawn"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
    assert part.about["asked"] == whole.about["asked"], "what was asked before counts too"


def test_what_was_begun_with_other_settings_is_not_gone_on_with(model, tmp_path, monkeypatch):
    corpus(tmp_path / "train", model, count=40)
    monkeypatch.setattr(engine_logits, "FLUSHED", 0.0)

    def stop(done, total):
        if done > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "train", model, tmp_path / "kept", Settings(), threads=1, tell=stop)
    with pytest.raises(InputError, match="begun with another corpus, teacher or settings"):
        write(tmp_path / "train", model, tmp_path / "kept", Settings(seed=1), threads=1)


def test_what_was_stopped_before_it_was_noted_is_forgotten(model, tmp_path):
    """Its arrays once stayed, of another shape, and were written into."""
    corpus(tmp_path / "train", model)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "train", model, tmp_path / "kept", Settings(top=9), threads=1, tell=stop)
    kept = write(tmp_path / "train", model, tmp_path / "kept", Settings(top=1), threads=1)
    assert kept.top.shape[1] == 1


@pytest.mark.parametrize("first", [0, 5, 11])
def test_steps_after_a_whole_step_are_the_same_wherever_one_begins(first, model, tmp_path):
    corpus(tmp_path / "train", model, count=30)
    opened = Corpus.open(tmp_path / "train")
    whole = [[(p.document, p.begin, p.last) for p in step] for step in steps(opened, 0)]
    begin = next(step[0][0] for step in whole if step[0][0] >= first and step[0][1] == 0)

    again = [[(p.document, p.begin, p.last) for p in step] for step in steps(opened, begin)]

    assert again == whole[-len(again) :]
    assert sum(p[2] for step in whole for p in step) == opened.documents


def test_another_tokenizer_is_refused(model, tmp_path):
    corpus(tmp_path / "train", model)
    about = json.loads((tmp_path / "train" / "corpus.json").read_text())
    (tmp_path / "train" / "corpus.json").write_text(json.dumps(about | {"tokenizer": "other"}))

    with pytest.raises(InputError, match="packed with another tokenizer than teacher has"):
        write(tmp_path / "train", model, tmp_path / "kept", Settings())


def test_a_document_that_the_teacher_can_not_read_is_refused_by_number(model, tmp_path):
    long = chat(1), chat(2)
    long = [long[0].__class__(text="a" * 600), long[1].__class__(text="b" * 9)]
    pack.write(tmp_path / "train", long, model, most=1.0, about={})

    with pytest.raises(InputError, match=r"document 0 of .*train has 600 tokens"):
        write(tmp_path / "train", model, tmp_path / "kept", Settings())


def test_the_command_keeps_logits_of_a_model_on_the_shelf(model, tmp_path, capsys):
    corpus(tmp_path / "train", model)
    words = ["learn", "data", "logits", str(tmp_path / "train"), "--teacher", "teacher"]
    words += ["-o", str(tmp_path / "kept"), "--threads", "1", "--json", "--top", "2"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)

    assert told["teacher"] == "teacher" and told["top"] == 2
    assert Kept.open(tmp_path / "kept").about == told
    assert main(words) == 2, "what is there is never written over"
