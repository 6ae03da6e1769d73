"""`farthing eval`: what it measures, shows, keeps and refuses, on small packed models."""

import json
from pathlib import Path

import pytest

from evaluate.toys import toy
from farthing import cli
from farthing.cli import eval_table
from farthing.formats import quality
from native.toy_native import FORMS

SMALL = ("--tokens", "256", "--length", "64")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy(tmp_path_factory.mktemp("full") / "full")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return toy(tmp_path / "small", FORMS["int4"])


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert cli.main(["eval", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.main(["eval", *map(str, words)]) == 2
    return capsys.readouterr().err


def test_the_engine_is_measured_against_its_own_weights(small, capsys) -> None:
    found = run(capsys, small, *SMALL)
    (row,) = found["rows"]
    assert row["levers"] == {"activations": "int8"}
    assert row["text"]["what"] == "samples of the reference, seed 0"
    assert row["text"]["tokens"] == 256
    assert found["model"] == "small" and found["saved"]
    kept = quality.read(small)
    assert kept is not None and kept.rows[0].levers == row["levers"]


def test_against_the_original_weights_come_first(full, small, capsys) -> None:
    found = run(capsys, small, "--against", full, "--kv-bits", 8, *SMALL)
    assert [list(row["levers"]) for row in found["rows"]] == [
        ["weights"],
        ["weights", "activations"],
        ["weights", "activations", "kv"],
    ]
    assert {row["against"]["name"] for row in found["rows"]} == {"full"}


def test_the_same_seed_gives_the_same_figures(small, capsys) -> None:
    one, again, other = (run(capsys, small, *SMALL, "--seed", s)["rows"] for s in (0, 0, 1))
    assert one == again != other


def test_nothing_is_kept_if_asked(small, capsys) -> None:
    assert not run(capsys, small, "--no-save", *SMALL)["saved"]
    assert not (small / quality.FILE).exists()


def test_the_users_text_is_measured_on(small, tmp_path, capsys) -> None:
    text = tmp_path / "mine.txt"
    text.write_text("a few words " * 30)
    lines = tmp_path / "mine.jsonl"
    lines.write_text("".join(json.dumps({"text": "a few words " * 10}) + "\n" for _ in range(3)))
    for file in (text, lines):
        (row,) = run(capsys, small, "--text", file, *SMALL)["rows"]
        assert row["text"]["what"] == f"user: {file.name}" and row["text"]["tokens"] == 256


def test_a_person_reads_a_table_and_what_it_means(full, small, capsys) -> None:
    assert cli.main(["eval", str(small), "--against", str(full), *SMALL]) == 0
    shown = capsys.readouterr().out
    assert "small against full in fp32, on 256 tokens" in shown
    assert "weights 4-f16 g32" in shown and "+ activations int8" in shown
    assert "likeliest tokens differ" in shown and "KL added by this lever" in shown
    assert "Kept in its quality.json" in shown


def test_nothing_that_differs_is_said_so() -> None:
    assert eval_table.often(1.0) == "no likeliest token differs"
    assert eval_table.often(0.975) == "1 of 40 likeliest tokens differs"
    assert eval_table.often(0.61) == "39 of 100 likeliest tokens differ"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights-only"], "add --against REFERENCE"),
        (["--tokens", "1"], "tokens is 1; it must be 0, or from 2"),
        (["--length", "4096", "--tokens", "4096"], "reads at most 512"),
        (["--seed", "-1"], "seed is -1"),
        (["--kv-bits", "5"], "kv-bits"),
        (["--against", "nobody"], "no model 'nobody' here"),
        (["--text", "/nowhere.txt"], "/nowhere.txt: no such file"),
        (["--tokens", "4", "--length", "4"], "4 tokens are too few for an interval"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(small, capsys, words, message) -> None:
    assert message in refused(capsys, small, *words)
    assert not (small / quality.FILE).exists()


def test_a_text_of_one_token_is_refused(small, tmp_path, capsys) -> None:
    file = tmp_path / "one.txt"
    file.write_text("a")
    assert "one.txt has 1 tokens" in refused(capsys, small, "--text", file)


def test_another_vocabulary_is_refused(small, tmp_path, capsys) -> None:
    other = toy(tmp_path / "other", vocab_size=300)
    assert "can't be compared" in refused(capsys, small, "--against", other, *SMALL)
