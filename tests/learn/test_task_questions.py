"""Questions of the test split, as `farthing eval --tasks` reads and counts them."""

import json
from pathlib import Path

import pytest

from farthing.cli import main
from farthing.errors import InputError
from farthing.evaluate import tasks as evaluate
from farthing.evaluate.tasks import exact
from farthing.evaluate.tasks.types import Sample, Written
from farthing.learn import card
from farthing.learn.tasks import KINDS, LANGUAGES, check, files, samples
from farthing.tokenizer import Tokenizer


class Oracle:
    """Knows the answers, and writes no more tokens than it may."""

    def __init__(self, tokenizer: Tokenizer, answers: dict[str, str]) -> None:
        self.tokenizer, self.answers = tokenizer, answers

    def loglikelihoods(self, pairs, told):
        raise AssertionError("not asked")

    def generate(self, prompts, sample: Sample, told):
        return [self.write(self.tokenizer.decode(ids), sample) for ids in prompts]

    def write(self, prompt: str, sample: Sample) -> Written:
        question = prompt.split("\nuser\n", 1)[1].removesuffix("\nassistant\n")
        ids = self.tokenizer.encode(self.answers[question])[: sample.max_tokens]
        return Written(self.tokenizer.decode(ids), len(ids))


@pytest.fixture
def tokenizer(smollm2: Path) -> Tokenizer:
    return Tokenizer.open(smollm2)


def test_a_file_a_kind_and_language_of_different_questions(tmp_path, tokenizer):
    paths = files.questions(tmp_path / "asked", ("tasks",), LANGUAGES, 20, 3)
    assert {path.stem for path in paths} == {f"{k}-{one}" for k in KINDS for one in LANGUAGES}
    tested = set()
    for path in paths:
        task = exact.read(path, chat=True)
        assert len({item.text for item in task.items}) == len(task.items) == 20
        (score,) = evaluate.run(Oracle(tokenizer, dict(_pairs(path))), [task])
        assert score.share.mean == 1, "a long answer is not cut off"
        tested |= {item.text for item in task.items}
    trained = {sample.prompt for sample in samples(count=50_000, seed=3)}
    assert not trained & tested


def _pairs(path: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["question"], row["answer"]) for row in rows]


def test_more_questions_than_there_are_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match=r"recall in en has \d+ questions, not 5000"):
        files.questions(tmp_path / "asked", ("sort", "recall"), ("en",), 5000, 0)
    assert not list(tmp_path.iterdir())


def test_the_verb_makes_the_same_bytes_again_and_tells_them(tmp_path, capsys):
    asked = ["learn", "data", "tasks", "--count", "300", "--seed", "9", "--kinds", "sort", "--json"]
    for name in ("a", "b"):
        assert main([*asked, "-o", str(tmp_path / name)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["documents"] == 300 and told["files"] == ["part-00000.jsonl"]
    first, second = ((tmp_path / name / "part-00000.jsonl").read_bytes() for name in ("a", "b"))
    assert first == second
    made = card.check(tmp_path / "a")
    assert made.made_by.startswith("farthing learn data tasks --count 300 --seed 9")
    assert made.kinds == {"sort": 300} and made.licence == "apache-2.0"
    assert main([*asked, "-o", str(tmp_path / "a")]) == 2
    assert "exists" in capsys.readouterr().err


def test_what_a_kill_left_is_no_hindrance(tmp_path):
    (tmp_path / ".asked.partial").mkdir()
    (tmp_path / ".asked.partial" / "old.jsonl").write_text("{}")
    files.questions(tmp_path / "asked", ("sort",), ("en",), 3, 0)
    assert [path.name for path in (tmp_path / "asked").iterdir()] == ["sort-en.jsonl"]


def test_the_verb_writes_questions(tmp_path, capsys):
    asked = ["learn", "data", "tasks", "--questions", "--count", "5", "--kinds", "count,units"]
    assert main([*asked, "--languages", "zh", "-o", str(tmp_path / "q")]) == 0
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == [
        "count-zh.jsonl",
        "units-zh.jsonl",
    ]
    for question, answer in _pairs(tmp_path / "q" / "units-zh.jsonl"):
        assert question and check({"answer": answer}, answer)
