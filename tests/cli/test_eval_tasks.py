"""`farthing eval --tasks`: which tasks are meant, and where their scores show."""

import json
from pathlib import Path

import pytest

from evaluate.toys import toy
from farthing import cli
from farthing.cli import eval_tasks
from farthing.errors import InputError, NotFound
from farthing.evaluate.tasks.choice import Choice
from farthing.evaluate.tasks.exact import Exact
from farthing.evaluate.tasks.humaneval import HumanEval
from native.toy_native import FORMS


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    items = [{"question": f"{i}?", "choices": ["a", "b", "c"], "answer": i % 3} for i in range(12)]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return tmp_path / "quiz.jsonl"


@pytest.fixture
def open_questions(tmp_path: Path) -> Path:
    (tmp_path / "open.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n' * 3)
    return tmp_path / "open.jsonl"


def test_names_and_files_may_be_joined_by_commas(quiz: Path, open_questions: Path) -> None:
    first, second, third = eval_tasks.named([f"{quiz}, {open_questions}", "humaneval"], limit=3)
    assert isinstance(first, Choice) and isinstance(second, Exact)
    assert isinstance(third, HumanEval) and third.name == "HumanEval, first 3"


def test_an_unknown_task_and_a_missing_file_are_named() -> None:
    with pytest.raises(InputError, match="'mmlu' is no task; known are humaneval, made"):
        eval_tasks.named(["mmlu"])
    with pytest.raises(NotFound, match=r"/nowhere\.jsonl: no such file"):
        eval_tasks.named(["/nowhere.jsonl"])


def test_scores_of_both_stand_side_by_side(quiz: Path, tmp_path: Path, capsys) -> None:
    full, small = toy(tmp_path / "full"), toy(tmp_path / "small", FORMS["int4"])
    words = ["eval", str(small), "--against", str(full), "--tokens", "0", "--tasks", str(quiz)]
    report = tmp_path / "r.html"
    assert cli.main([*words, "--json", "--report", str(report)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == [] and not found["saved"]
    ours, theirs = found["tasks"], found["reference_tasks"]
    assert [score["task"] for score in ours] == [score["task"] for score in theirs]
    assert ours[0]["count"] == 12 and 0 <= ours[0]["share"]["mean"] <= 1
    assert found["kept"]["left_out"] == ["quiz"], "a random model is near to guessing"
    assert "Right answers" in report.read_text() and "Where it differs" not in report.read_text()


def test_a_person_reads_the_scores_below_the_levers(quiz: Path, tmp_path: Path, capsys) -> None:
    model = toy(tmp_path / "small")
    words = ["--tokens", "128", "--length", "64", "--tasks", str(quiz), "--no-save"]
    assert cli.main(["eval", str(model), *words]) == 0
    shown = capsys.readouterr().out
    assert shown.index("lossy") < shown.index("quiz") < shown.index("differs")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tokens", "0"], "add --tasks"),
        (["--tasks", "made", "--weights-only", "--against", "x"], "tasks run on the engine"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path: Path, capsys, words, message) -> None:
    assert cli.main(["eval", str(toy(tmp_path / "small")), *words]) == 2
    assert message in capsys.readouterr().err
