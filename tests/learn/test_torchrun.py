"""`torchrun ... learn pretrain`: one folder, one log, stopped and taken up by however many."""

import json
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

import pytest
import toy_run
from processes import SURROUNDINGS, pretrain, torchrun

from farthing.cli import main
from farthing.learn import checkpoint


def lines(folder: Path) -> list[dict[str, float]]:
    path = folder / "log.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def test_two_stop_at_a_signal_and_one_goes_on(tmp_path: Path) -> None:
    """The whole log is the one of a process that was alone all the time."""
    settings = {"dtype": "fp32", "next_token": {"weight": 0.3}, "evaluate": {"steps": 100}}
    recipe = toy_run.recipe(tmp_path, steps=60, save={"minutes": 60.0}, **settings)
    both, alone = tmp_path / "both", tmp_path / "alone"
    process = subprocess.Popen(
        torchrun(2, *pretrain(recipe, both)), env=SURROUNDINGS, stderr=subprocess.PIPE, text=True
    )
    until = monotonic() + 120
    while len(lines(both)) < 5 and process.poll() is None and monotonic() < until:
        sleep(0.02)
    process.send_signal(signal.SIGTERM)
    words = process.communicate(timeout=120)[1]
    stopped = len(lines(both))
    assert 5 <= stopped < 60, words
    assert words.count("farthing: stopped at step") == 1, words
    assert checkpoint.newest(both).name == f"step-{stopped:08}"

    for folder, flags in ((both, ["--resume"]), (alone, [])):
        words_of_one = ["learn", "pretrain", str(recipe), "-o", str(folder), "--threads", "1"]
        assert main([*words_of_one, *flags]) == 0
    got, expected = lines(both), lines(alone)
    assert [line["step"] for line in got] == list(range(1, 61))
    for line, want in zip(got[: stopped + 2], expected, strict=False):
        assert line["loss"] == pytest.approx(want["loss"], rel=1e-5)
        assert line["norm"] == pytest.approx(want["norm"], rel=1e-4)


@pytest.mark.slow
def test_what_can_not_be_shared_is_said_once(tmp_path: Path) -> None:
    recipe = toy_run.recipe(tmp_path, steps=4)
    command = torchrun(3, *pretrain(recipe, tmp_path / "run"))
    ended = subprocess.run(command, env=SURROUNDINGS, capture_output=True, text=True, timeout=240)
    assert ended.returncode
    assert ended.stderr.count("farthing: 3 processes can't share a step of 8 rows") == 1


ELSEWHERE = """
import os, sys
os.chdir(sys.argv[1] + os.environ["RANK"])
from farthing.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["data", "recipe"])
def test_a_machine_with_other_files_is_named(changed: str, tmp_path: Path) -> None:
    for rank in range(2):
        folder = tmp_path / f"at{rank}"
        folder.mkdir()
        if changed == "data":
            toy_run.data(folder / "train", seed=rank)
        toy_run.recipe(folder, steps=4, seed=rank if changed == "recipe" else 1)
    script = tmp_path / "elsewhere.py"
    script.write_text(ELSEWHERE)
    words = ["learn", "pretrain", "recipe.toml", "-o", "run", "--threads", "1"]
    command = torchrun(2, script, tmp_path / "at", *words)
    ended = subprocess.run(command, env=SURROUNDINGS, capture_output=True, text=True, timeout=240)
    assert ended.returncode
    assert "another recipe or other data than the one that leads" in ended.stderr
    assert not list((tmp_path / "at0" / "run").glob("step-*"))
