"""`farthing chat`: what is kept between turns, and what a line that begins with / does."""

import io
import json
import sys

import pytest
from parrot import parrot

from farthing import cli
from farthing.cli.chat import Talk
from farthing.cli.choice import Choice
from farthing.cli.local import Local
from farthing.errors import ContextTooLong, InputError


def talk(smollm2, *says: str, **more: str) -> Talk:
    return Talk(parrot(smollm2, list(says)), Choice(), {}, **more)


def test_both_sides_of_every_turn_are_kept(smollm2, capsys):
    talking = talk(smollm2, "One.", "Two.")
    assert talking.turn("first?") and talking.turn("second?")
    assert [m["content"] for m in talking.messages] == ["first?", "One.", "second?", "Two."]
    assert capsys.readouterr().out == "One.\nTwo.\n"


def test_the_cost_of_a_conversation_is_the_sum_of_its_turns(smollm2, monkeypatch):
    talking = talk(smollm2, "One.", "Two.")
    monkeypatch.setattr(talking.local, "nanodollars", lambda usage: 5)
    talking.turn("first?")
    talking.turn("second?")
    assert talking.spent == 10


def test_a_turn_finds_the_one_before_in_the_cache(smollm2, capsys):
    talking = talk(smollm2, "One.", "Two.")
    talking.turn("a long question " * 40)
    talking.turn("more")
    assert "cached)" in capsys.readouterr().err


def test_reset_keeps_the_instructions_alone(smollm2):
    talking = talk(smollm2, "One.", system="Be brief.")
    talking.turn("first?")
    talking.turn("/reset")
    assert talking.messages == [{"role": "system", "content": "Be brief."}]
    talking.turn("/system")
    assert talking.messages == []


def test_a_conversation_is_saved_and_no_file_is_overwritten(smollm2, tmp_path):
    talking = talk(smollm2, "One.")
    talking.turn("first?")
    talking.turn(f"/save {tmp_path / 'talk.json'}")
    assert json.loads((tmp_path / "talk.json").read_text()) == talking.messages
    with pytest.raises(InputError, match="File exists"):
        talking.turn(f"/save {tmp_path / 'talk.json'}")


def test_a_refused_question_leaves_the_conversation_as_it_was(smollm2):
    talking = talk(smollm2)
    with pytest.raises(ContextTooLong):
        talking.turn("too long " * 2000)
    assert talking.messages == []


def test_an_unknown_command_is_not_said_to_the_model(smollm2):
    with pytest.raises(InputError, match="no command /rest"):
        talk(smollm2).turn("/rest")


def test_lines_of_a_pipe_are_turns_and_errors_do_not_end_them(smollm2_home, monkeypatch, capsys):
    monkeypatch.setattr(Local, "open", lambda folder, config: parrot(folder, ["One.", "Two."]))
    monkeypatch.setattr(sys, "stdin", io.StringIO("first?\n\n/rest\nsecond?\n/exit\nnever\n"))
    assert cli.main(["chat", "smollm2-135m"]) == 0
    out, err = capsys.readouterr()
    assert out == "One.\nTwo.\n"
    assert "no command /rest" in err and "tokens answered" in err
