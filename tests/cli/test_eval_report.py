"""The report of `farthing eval`: what stands in it, and what it looks like."""

from importlib.util import find_spec

import numpy as np
import pytest

from evaluate.toys import ids, toy
from farthing import cli
from farthing.cli import eval_plot, eval_report, pages
from farthing.cli.eval_job import Found
from farthing.evaluate import measure, record
from farthing.evaluate.divergence import Tokens
from farthing.evaluate.opened import open as open_checkpoint
from farthing.evaluate.texts import Texts
from native.toy_native import FORMS

SMALL = ("--tokens", "256", "--length", "64")
TEXT = Texts("user: random", [ids(65, seed) for seed in range(4)])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    home = tmp_path_factory.mktemp("models")
    full, small = toy(home / "full"), toy(home / "small", FORMS["int4"])
    model, against = open_checkpoint(small), open_checkpoint(full)
    measured = measure.measure(model, against, TEXT)
    return Found(
        model=model,
        against=against,
        rows=record.rows_of(measured, against, TEXT),
        tokens=[row.tokens for row in measured],
        texts=TEXT,
        command="farthing eval small --against full",
    )


def worst(found: Found, tokens: Tokens) -> pages.Table:
    return eval_report.worst(tokens, TEXT, found.tokenizer())


def test_the_worst_tokens_stand_with_what_came_before_and_after(found) -> None:
    tokens, tokenizer = found.tokens[0], found.tokenizer()
    made = worst(found, tokens)
    at = int(tokens.kl.argmax())
    sequence, place = divmod(at, 64)
    before = TEXT.sequences[sequence][max(0, place + 1 - eval_report.CONTEXT) : place + 1]
    kl, after, expected, got, came = made.rows[0]
    assert kl == f"{tokens.kl.max():.3g}" and len(made.rows) == eval_report.WORST
    assert after == eval_report.shown(before.tolist(), tokenizer)
    following = TEXT.sequences[sequence][place + 1]
    ids_of = ((came, following), (expected, tokens.reference_top[at]), (got, tokens.top[at]))
    for cell, id in ids_of:
        assert cell.startswith(eval_report.shown([id], tokenizer).replace(" ", "␣"))


def test_the_context_of_a_token_stays_within_its_sequence(found) -> None:
    """The first token of a sequence has itself alone before what follows."""
    spiked = found.tokens[0]
    kl = np.zeros(256)
    kl[64] = 1.0
    first = type(spiked)(**{name: getattr(spiked, name) for name in spiked.__slots__} | {"kl": kl})
    made = worst(found, first)
    assert made.rows[0][1] == eval_report.shown([TEXT.sequences[1][0]], found.tokenizer())


def test_without_a_tokenizer_ids_are_shown(found) -> None:
    made = eval_report.worst(found.tokens[0], TEXT, None)
    assert all(part.isdigit() for part in made.rows[0][1].split())


def test_a_column_tells_what_the_last_lever_added(found) -> None:
    both = eval_report.table(found.rows)
    assert both.headings[-1] == eval_report.ADDED and both.rows[0][-1] == ""
    assert both.rows[1][-1].startswith(("+", "-"))
    assert eval_report.ADDED not in eval_report.table(found.rows[:1]).headings


def test_a_report_is_written_by_the_verb(tmp_path, capsys) -> None:
    model = toy(tmp_path / "small", FORMS["int4"])
    for name in ("r.html", "r.md"):
        words = ["eval", str(model), *SMALL, "--report", str(tmp_path / name)]
        assert cli.main(words) == 0
        assert f"The report is {tmp_path / name}." in capsys.readouterr().out
        made = (tmp_path / name).read_text()
        assert "What small loses" in made and "bootstrap" in made
        assert f"farthing eval {model} --tokens 256 --length 64" in made.replace("\\", "")
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"


def test_a_report_nobody_could_write_is_refused_before_the_work(tmp_path, capsys) -> None:
    model = toy(tmp_path / "small", FORMS["int4"])
    assert cli.main(["eval", str(model), "--report", str(tmp_path / "r.pdf")]) == 2
    assert "*.html or *.md" in capsys.readouterr().err


def test_matplotlib_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval_plot, "find_spec", lambda name: None)
    with pytest.raises(Exception, match=r"farthing\[plot\]"):
        eval_plot.check()
    assert find_spec("matplotlib") is not None
