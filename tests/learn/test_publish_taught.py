"""A run that was no plain pretraining says so on its card: a teacher, a start, several machines."""

import json
from pathlib import Path

import pytest
from taught import corpus, taught, teacher

from farthing.cli import learn_pages
from farthing.learn import engine_logits, training
from farthing.learn.engine_logits import Settings
from farthing.learn.release import Release
from farthing.learn.report import History


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    packed = teacher(tmp_path / "teacher")
    corpus(tmp_path / "train", packed, count=40)
    return packed


def quiet(*words: object) -> None:
    pass


def ran(recipe: Path, run: Path, start: Path | None = None) -> Path:
    with training.opened(recipe, run, start=start, threads=1) as made:
        made.go(lambda: False, quiet, quiet)
    return run


def card(run: Path, recipe: Path) -> str:
    tokenizer, into = recipe.parent / "teacher", run.with_name(f"{run.name}-out")
    Release(run, recipe=recipe, tokenizer=tokenizer).write(into)
    return (into / "README.md").read_text("utf-8")


def test_a_teacher_that_was_asked_stands_on_the_card(model: Path, tmp_path: Path) -> None:
    recipe = taught(tmp_path, steps=2, teacher={"model": "teacher"})
    told = card(ran(recipe, tmp_path / "run"), recipe)
    facts = json.loads((tmp_path / "run" / "facts.json").read_bytes())

    assert "and on what a teacher makes of them (teacher)." in told
    assert "nothing else" not in told
    assert f"farthing learn distil {recipe} -o" in told
    assert f"| teacher teacher | | `{facts['data'][1]}` |" in told


def test_kept_logits_stand_on_the_card(model: Path, tmp_path: Path) -> None:
    command = "farthing learn data logits train --teacher teacher -o kept"
    folders = tmp_path / "train", model, tmp_path / "kept"
    engine_logits.write(*folders, Settings(), threads=1, command=command)
    data = {"length": 32, "train": [{"path": "train", "logits": "kept"}], "held_out": []}
    recipe = taught(tmp_path, steps=2, data=data, teacher={"weight": 0.5})
    told = card(ran(recipe, tmp_path / "run"), recipe)

    assert "and on what a teacher makes of them (kept)." in told
    assert "| teacher kept | | `" in told
    assert told.index(command) < told.index("farthing learn distil"), "each after what it reads"


def test_a_run_that_another_began_does_not_say_random_weights(model: Path, tmp_path: Path) -> None:
    recipe = taught(tmp_path, steps=2)
    ran(recipe, tmp_path / "before")
    recipe = taught(tmp_path, steps=4)
    run = ran(recipe, tmp_path / "run", tmp_path / "before" / "step-00000002")
    told = card(run, recipe)

    assert "random weights" not in told
    assert "trained from another run's weights of step 2 (recipe `" in told
    assert "which these commands do not make" in told
    # two of its four steps are its own: what they took is no measure of the others
    seconds = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["elapsed"]
    assert f"{2 * 256 / seconds:,.0f} tokens a second" in told


def test_all_machines_are_paid(model: Path, tmp_path: Path) -> None:
    recipe = taught(tmp_path, steps=2)
    run = ran(recipe, tmp_path / "run")
    facts = json.loads((run / "facts.json").read_bytes())
    alone = learn_pages.figures(History.read(run))["nanodollars"]

    (run / "facts.json").write_text(json.dumps(facts | {"processes": 8, "machines": 4}))

    assert learn_pages.figures(History.read(run))["nanodollars"] == pytest.approx(4 * alone, abs=4)
    told = card(run, recipe)
    assert "on 8 processes of 1 thread of" in told
    assert "at 4 machines, each" in told
    assert "torchrun --nnodes 4 --nproc-per-node 2 --no-python farthing learn pretrain" in told


def test_card_and_report_tell_one_share_of_the_peak(model: Path, tmp_path: Path) -> None:
    """The peak may be seen higher in the middle of a run: its first steps' shares were of less."""
    recipe = taught(tmp_path, steps=3)
    run = ran(recipe, tmp_path / "run")
    facts = json.loads((run / "facts.json").read_bytes())
    (run / "facts.json").write_text(json.dumps(facts | {"peak": facts["peak"] / 50}))
    share = learn_pages.figures(History.read(run))["share_of_peak"]
    assert f"and {share:.1%} of the machine's measured peak" in card(run, recipe)


def test_a_single_held_out_row_has_no_interval(model: Path, tmp_path: Path) -> None:
    corpus(tmp_path / "held", model, count=1)
    data = {"length": 32, "train": [{"path": "train"}], "held_out": [{"path": "held"}]}
    recipe = taught(tmp_path, steps=2, data=data, evaluate={"steps": 2, "tokens": 32})
    run = ran(recipe, tmp_path / "run")
    told = card(run, recipe)
    (row,) = (line for line in told.splitlines() if line.startswith("| held | ") and "%" in line)
    assert " to " not in row
    learn_pages.write(tmp_path / "report.html", History.read(run))
    assert "±" not in (tmp_path / "report.html").read_text("utf-8")
