"""Runs side by side: the compute that one needs to be where another ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from farthing.cli import main
from farthing.errors import FormatError, InputError
from farthing.learn.compare import Comparison, Curve

LOSSES = (4.0, 3.0, 2.5)


def written(
    folder: Path, *, losses: tuple[float, ...], flops: float, corpus: str = "held", **looks: Any
) -> Path:
    """A run of a million tokens a step that looked after each step."""
    folder.mkdir()
    facts = {"name": folder.name, "parameters": 10, "active": 5, "flops_a_token": flops}
    facts["looks"] = {"corpora": {corpus: "a"}, "tokens": 64, "length": 32, "whole": False} | looks
    (folder / "facts.json").write_text(json.dumps(facts))
    (folder / "recipe.toml").write_text("")
    lines = (
        {
            "step": n,
            "tokens": n * 10**6,
            "loss": loss,
            "elapsed": n,
            "held_out": {corpus: {"loss": loss}},
        }
        for n, loss in enumerate(losses, 1)
    )
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_between_two_looks_compute_is_on_the_line():
    curve = Curve((1e6, 1e8, 1e9), LOSSES)
    assert curve.reaches(3.5) == pytest.approx(1e7)
    assert curve.reaches(3.0) == pytest.approx(1e8)
    assert curve.reaches(5.0) == 1e6
    assert curve.reaches(2.0) is None


def test_the_same_losses_at_twice_the_cost_a_token_are_reached_at_half(tmp_path):
    cheap = written(tmp_path / "cheap", losses=LOSSES, flops=1e6)
    dear = written(tmp_path / "dear", losses=LOSSES, flops=2e6)
    first, other = Comparison.read([cheap, dear]).rows()
    assert "first" not in first
    assert other["first"] == {"held": pytest.approx(0.5)}
    assert other["compute"] == 6e12
    (_, back) = Comparison.read([dear, cheap]).rows()
    assert back["first"] == {"held": pytest.approx(2.0)}


def test_a_loss_that_the_first_never_had_is_said(tmp_path, capsys):
    runs = [
        written(tmp_path / "first", losses=LOSSES, flops=1e6),
        written(tmp_path / "better", losses=(2.0, 1.5), flops=1e6),
    ]
    drawn = tmp_path / "curves.svg"
    assert main(["learn", "compare", *map(str, runs), "--curves", str(drawn)]) == 0
    assert "first was never there" in capsys.readouterr().out
    assert "<svg" in drawn.read_text()
    assert main(["learn", "compare", *map(str, runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][1]["first"] == {"held": None}


def test_runs_without_a_text_in_common_are_not_compared(tmp_path):
    runs = [
        written(tmp_path / "one", losses=LOSSES, flops=1e6),
        written(tmp_path / "other", losses=LOSSES, flops=1e6, corpus="else"),
    ]
    with pytest.raises(InputError, match="same held-out text"):
        Comparison.read(runs)


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ({"corpora": {"held": "b"}}, "held differ"),
        ({"length": 64}, "length of a look differ"),
        ({"whole": True}, "whole of a look differ"),
        ({"tokens": 32}, "tokens of a look differ"),
    ],
)
def test_runs_that_looked_at_other_tokens_of_one_name_are_not_compared(looks, said, tmp_path):
    runs = [
        written(tmp_path / "one", losses=LOSSES, flops=1e6),
        written(tmp_path / "other", losses=LOSSES, flops=1e6, **looks),
    ]
    with pytest.raises(InputError, match=said):
        Comparison.read(runs)


def test_a_run_that_does_not_say_what_it_looked_at_is_told_how_to(tmp_path):
    run = written(tmp_path / "one", losses=LOSSES, flops=1e6)
    facts = json.loads((run / "facts.json").read_text())
    del facts["looks"]
    (run / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(FormatError, match="--resume"):
        Comparison.read([run, run])
