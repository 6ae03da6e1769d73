"""A training run on the terminal and as a page."""

import json
import re

import pytest
import torch

from farthing.cli import main
from learn import toy_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 12 steps, and what its terminal showed."""
    folder = tmp_path_factory.mktemp("report")
    recipe = toy_run.recipe(folder, 12, next_token={}, save={"minutes": 60.0})
    threads = torch.get_num_threads()
    asked = ["learn", "pretrain", str(recipe), "-o", str(folder / "run"), "--threads", "1"]
    assert main(asked) == 0
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    return folder / "run"


def test_the_page_has_the_curves_and_the_figures(run):
    page = (run / "report.html").read_text()
    assert page.count('src="data:image/png;base64,') == 1
    for words in (
        "toy: a training run",
        "12 of 12",
        "3,072",
        "held",
        "accepted",
        "n_routed_experts",
    ):
        assert words in page
    assert not re.search(r"https?://", page.replace("<svg", "")), "it needs nothing beside it"


def test_programs_read_the_figures(run, capsys):
    assert main(["learn", "report", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["step"] == found["steps"] == 12
    assert 0 < found["share_of_peak"] < 1 and found["tokens_a_second"] > 0
    assert found["held_out"]["held"]["loss"] > 0 and found["nanodollars"] > 0
    assert found["balance"] >= 1
    assert 0 < found["cpu_seconds"] <= found["seconds"] * 1.1 + 0.1, "on one thread"


def test_a_run_at_work_has_a_report_too(run, tmp_path, capsys):
    """Its log ends within a line."""
    for name in ("recipe.toml", "facts.json", "log.jsonl"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    log = tmp_path / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    assert main(["learn", "report", str(tmp_path)]) == 0
    assert "11 of 12" in capsys.readouterr().out
    assert (tmp_path / "report.html").exists()


def test_a_peak_that_was_measured_too_low_is_mended(run, tmp_path, monkeypatch):
    peaks = iter([1e9, 3e9, 2e9])
    monkeypatch.setattr("farthing.learn.work.peak", lambda **_: next(peaks))
    recipe = toy_run.recipe(tmp_path, 2, save={"minutes": 0.0})
    asked = ["learn", "pretrain", str(recipe), "-o", str(tmp_path / "run"), "--threads", "1"]
    assert main(asked) == 0
    torch.use_deterministic_algorithms(False)
    assert json.loads((tmp_path / "run/facts.json").read_text())["peak"] == 3e9


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert main(["learn", "report", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    (tmp_path / "recipe.toml").write_text("")
    (tmp_path / "facts.json").write_text("{")
    assert main(["learn", "report", str(tmp_path)]) == 3


def test_without_a_terminal_a_line_comes_once_in_a_while(run, tmp_path, capsys):
    recipe = toy_run.recipe(tmp_path, 5, evaluate={"steps": 100})
    threads = torch.get_num_threads()
    asked = ["learn", "pretrain", str(recipe), "-o", str(tmp_path / "run"), "--threads", "1"]
    assert main(asked) == 0
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    told = capsys.readouterr()
    assert told.out == ""
    assert "toy begins: 0.0" in told.err and "step 1/5" in told.err and "step 5/5" in told.err
    assert "step 3/5" not in told.err
