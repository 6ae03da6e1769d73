"""The board: what was measured with its price, what is reported with its source, never mixed."""

import json
import re

import msgspec
import pytest

from farthing import cli
from farthing.bench import quick, reported
from farthing.cli import board_rows, measured
from farthing.errors import FormatError
from farthing.evaluate.tasks import Score
from farthing.formats import packed, quality
from farthing.formats.quality import Against, Interval, Loss, Quality, Row, Text
from farthing.meter.rate import MachinePrice, per_million
from farthing.ops.isa import NUMERICS

HOUR = MachinePrice().hour_nanodollars
RATES = dict(zip(quick.NAMES, (5000.0, 400.0, 2000.0), strict=True))


def board(capsys, *words):
    assert cli.main(["board", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def interval(mean):
    return Interval(mean=mean, low=mean * 0.9, high=mean * 1.1)


def lose(folder):
    """As farthing eval would keep it."""
    loss = Loss(
        kl=interval(0.0023),
        kl_median=0.001,
        kl_p99=0.01,
        kl_max=0.1,
        same_top=interval(0.9),
        perplexity=interval(10.0),
        reference_perplexity=interval(10.0),
    )
    row = Row(
        levers={"activations": "int8"},
        against=Against(name="itself", sha256="0" * 64, arithmetic="fp32"),
        text=Text(what="samples of the reference, seed 0", sha256="1" * 64, tokens=4096),
        loss=loss,
        arithmetic="native",
        isa="portable",
        numerics=NUMERICS,
        farthing="0.1.0",
        measured="2026-11-22",
    )
    made = Quality(layout=quality.LAYOUT, weights=packed.identity(folder), rows=[row])
    quality.write(folder, made)


@pytest.fixture
def own(home, smollm2):
    """A home whose model may be given a quality.json: the shared one is nobody's to change."""
    folder = home / "models" / smollm2.name
    folder.mkdir(parents=True)
    for path in smollm2.iterdir():
        (folder / path.name).hardlink_to(path)
    return folder


def test_what_was_not_measured_is_said_and_how_to_measure_it(smollm2_home, capsys):
    (one,) = board(capsys)["here"]
    assert one["quality"] is None and one["speed"] is None and one["cost"] is None
    assert one["active_share"] == 1 and "farthing eval smollm2-135m" in one["how"]
    assert cli.main(["board"]) == 0
    said = capsys.readouterr().out
    assert "loss not measured" in said and "farthing board --measure" in said


def test_a_price_is_the_measured_speed_at_this_machine_s_hour(own, capsys):
    measured.keep_speed(own, RATES, kv_bits=16, isa="portable", threads=2)
    lose(own)
    (one,) = board(capsys)["here"]
    assert one["cost"]["prompt"] == per_million(5000, HOUR)
    assert one["cost"]["together"] * 5 == pytest.approx(one["cost"]["alone"])
    assert one["quality"]["kl"]["mean"] == 0.0023 and one["quality"]["levers"] == "activations int8"
    assert "4,096 tokens" in one["quality"]["text"]


def test_speeds_of_other_weights_count_for_nothing(own, capsys):
    measured.keep_speed(own, RATES, kv_bits=16, isa="portable", threads=2)
    kept = measured.read()
    moved = [msgspec.structs.replace(one, weights="f" * 64) for one in kept.speeds]
    measured.write(msgspec.structs.replace(kept, speeds=moved))
    assert board(capsys)["here"][0]["speed"] is None


def test_a_right_answer_costs_all_the_time_of_its_task(own, capsys):
    score = Score(
        task="quiz",
        metric="likelihood",
        share=interval(0.25),
        chance=0.25,
        count=40,
        items=[1.0] * 10 + [0.0] * 30,
        tokens_in=100,
        tokens_out=0,
        seconds=36.0,
        sha256="2" * 64,
    )
    for _ in range(2):  # kept once, however often it is measured
        measured.keep_scores(own, [score], kv_bits=16)
    (task,) = board(capsys)["here"][0]["tasks"]
    assert task["solved"] == round(HOUR * 0.01 / 10)


def test_measured_and_reported_never_share_a_row(smollm2_home, capsys):
    found = board(capsys)
    assert {one["name"] for one in found["here"]} == {"smollm2-135m"}
    assert not {"mmlu", "price"} & set(found["here"][0])
    for one in (*found["models"], *found["claims"]):
        assert one["sources"] and all(letter in found["sources"] for letter in one["sources"])
    assert all(price["source"] and price["date"] for price in found["prices"])


def test_known_errors_of_reports_are_marked(home, capsys):
    assert "160 routed" in next(m for m in reported.models() if m.name == "DeepSeek-V2").error
    assert cli.main(["board"]) == 0
    assert "* DeepSeek-V2: the released V2 has 160 routed" in capsys.readouterr().out


def test_a_model_asked_for_must_be_sold_somewhere(home, capsys):
    assert cli.main(["board", "--against", "no-such-model-anywhere"]) == 2
    assert "no price for" in capsys.readouterr().err
    names = [price["name"] for price in board(capsys, "--against", "gpt-4o-mini")["prices"]]
    assert "openai/gpt-4o-mini" in names


def test_the_page_needs_nothing_beside_it(own, tmp_path, capsys):
    measured.keep_speed(own, RATES, kv_bits=16, isa="portable", threads=2)
    lose(own)
    page = tmp_path / "board.html"
    assert cli.main(["board", "--html", str(page)]) == 0
    text = page.read_text()
    assert f"The page is {page}." in capsys.readouterr().out
    assert "data:image/png;base64," in text and "Reported: models" in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)


def test_a_page_that_can_t_be_is_refused_before_work(home, tmp_path, capsys):
    assert cli.main(["board", "--html", str(tmp_path / "a.pdf")]) == 2
    assert cli.main(["board", "--html", str(tmp_path / "none" / "a.html")]) == 2


@pytest.mark.parametrize("text", ["{", '{"layout": 1, "strange": 2}', '{"layout": 9}'])
def test_a_damaged_file_is_named(home, text):
    (home / measured.FILE).write_text(text)
    with pytest.raises(FormatError, match=r"measured\.json"):
        measured.read()


def test_the_pictures_panels_share_no_axis(own, monkeypatch):
    from matplotlib.figure import Figure

    from farthing.cli import board_plot

    asked = {}

    def subplots(self, *counts, **how):
        asked.update(how)
        return Figure.add_subplot(self, 1, 2, 1), Figure.add_subplot(self, 1, 2, 2)

    monkeypatch.setattr(Figure, "subplots", subplots)
    png = board_plot.draw(board_rows.board(MachinePrice(), ()))
    assert png.startswith(b"\x89PNG") and not asked.get("sharex") and not asked.get("sharey")


def test_what_bench_measures_is_what_the_board_prices():
    from farthing.bench import suite

    assert set(quick.NAMES) <= set(suite.QUICK.names()) & set(suite.Plan().names())


def test_measuring_keeps_the_speeds_that_are_then_priced(own, capsys, monkeypatch):
    asked = []

    def rates(folder, config, *, rounds):
        asked.append((folder.name, config.threads))
        return RATES

    monkeypatch.setattr(quick, "rates", rates)
    (one,) = board(capsys, "--measure", "--threads", "1")["here"]
    assert asked == [(own.name, 1)]
    assert one["speed"]["alone"] == 400 and one["speed"]["threads"] == 1
    assert board(capsys)["here"][0]["speed"] == one["speed"]
