"""`farthing cost` shows what the ledger holds, in tables and in JSON, and on what it rests."""

import json

import pytest

from farthing.cli import main
from farthing.cli.bill import count, span
from farthing.meter.attribution import Reading
from farthing.meter.ledger import Ledger
from farthing.meter.rate import HOUR, NANO
from farthing.meter.rows import ClockRow, RequestRow
from farthing.usage import Usage

PRICE = 14_407_712
DAY = 24 * HOUR


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FARTHING_LEDGER", raising=False)


def fill(path):
    ledger = Ledger(path)
    ledger.append(
        [
            RequestRow.billed(
                id=f"r{i}",
                key="[team]" if i % 2 else "notebook",
                model="smollm2",
                finish="stop",
                usage=Usage(
                    prompt_tokens=1000,
                    cached_tokens=300,
                    completion_tokens=200,
                    nanoseconds=(NANO, 0, 2 * NANO, 0),
                ),
                hour_nanodollars=PRICE,
                at=20_000 * DAY + i * DAY,
            )
            for i in range(4)
        ],
        [
            ClockRow(
                run="a",
                begin=20_000 * DAY,
                end=20_000 * DAY + HOUR,
                spent=Reading(busy=12 * NANO, idle=108 * NANO),
                hour_nanodollars=PRICE,
            )
        ],
    )
    ledger.close()


@pytest.fixture
def filled(home):
    fill(home / "ledger.db")
    return home


def run(capsys, *words):
    code = main(["cost", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def test_an_empty_ledger_says_how_to_fill_it_and_makes_none(capsys, home):
    out = run(capsys)
    assert "No bills yet" in out
    assert "farthing serve" in out
    assert "assumed" in out
    assert not list(home.iterdir())


def test_tables_by_key_model_and_day(capsys, filled):
    out = run(capsys)
    for part in ("4 requests", "[team]", "notebook", "smollm2", "2024-10-04", "90 %", "--save"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80
    assert "smollm2" not in run(capsys, "--by", "day")


def test_json_holds_the_same_in_whole_numbers(capsys, filled):
    found = json.loads(run(capsys, "--json"))
    assert found["total"]["requests"] == 4
    assert found["total"]["tokens"] == {"fresh": 2800, "cached": 1200, "decode": 800, "rejected": 0}
    assert found["total"]["nanodollars"] == 4 * round(3 * NANO * PRICE / HOUR)
    assert [line["name"] for line in found["by_key"]] == ["[team]", "notebook"]
    assert len(found["by_day"]) == 4
    assert found["clock"]["idle_nanoseconds"] == 108 * NANO
    assert found["hour"]["nanodollars"] == PRICE


def test_only_from_a_day_on(capsys, filled):
    found = json.loads(run(capsys, "--json", "--since", "2024-10-06"))
    assert [line["name"] for line in found["by_day"]] == ["2024-10-06", "2024-10-07"]
    assert found["total"]["requests"] == 2


def test_against_a_model_that_is_sold(capsys, filled):
    (found,) = json.loads(run(capsys, "--json", "--against", "gpt-5.2"))["against"]
    assert found["name"] == "openai/gpt-5.2"
    assert found["their_nanodollars"] == 2800 * 1750 + 1200 * 175 + 800 * 14_000
    assert found["utilisation"] == 0.1
    assert found["reserved_nanodollars"] > found["used_nanodollars"]
    out = run(capsys, "--against", "gpt-5.2", "--against", "reported/deepseek-v2")
    assert "We are cheaper, idle time included" in out
    assert "(reported)" in out


def test_where_the_other_is_cheaper_it_says_so(capsys, filled):
    out = run(capsys, "--against", "gpt-5.2", "--hour", "100")
    assert "They are cheaper. Even if it worked every second" in out
    assert "never" in out


def test_another_price_of_the_hour_shows_the_ledger_at_it_and_changes_no_bill(capsys, filled):
    before = json.loads(run(capsys, "--json"))
    other = json.loads(run(capsys, "--json", "--hour", "3.6"))
    assert other["total"]["nanodollars"] == 4 * 3 * 1_000_000
    assert sum(line["nanodollars"] for line in other["by_day"]) == 12_000_000
    assert other["clock"]["reserved_nanodollars"] == 120_000_000
    assert other["repriced"]
    assert json.loads(run(capsys, "--json")) == before
    assert "the bills stay" in run(capsys, "--watts", "65")


def test_a_saved_price_holds_for_later(capsys, home):
    run(capsys, "--watts", "65", "--capital", "900", "--save")
    out = run(capsys)
    assert "as set" in out
    assert "900 USD" in out
    assert "65 W" in out


def test_the_ledger_may_lie_elsewhere(capsys, monkeypatch, tmp_path):
    fill(tmp_path / "other.db")
    for where in (str(tmp_path / "other.db"), f"sqlite:///{tmp_path}/other.db"):
        monkeypatch.setenv("FARTHING_LEDGER", where)
        assert json.loads(run(capsys, "--json"))["total"]["requests"] == 4


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--against", "gpt-5.22"], 2, "near it are gpt-5.2"),
        (["--utilisation", "3"], 2, "utilisation is 3"),
        (["--hour", "1", "--watts", "2"], 2, "one or the other"),
        (["--save"], 2, "nothing to save"),
        (["--by", "cow"], 2, "cow"),
        (["--since", "yesterday"], 2, "since"),
    ],
)
def test_what_is_not_understood_is_told_in_a_line(capsys, words, code, told):
    assert main(["cost", *words]) == code
    out, err = capsys.readouterr()
    assert not out
    assert told in err


def test_a_damaged_ledger_is_named(capsys, home):
    (home / "ledger.db").write_bytes(b"no database" * 1000)
    assert main(["cost"]) == 3
    assert "ledger.db" in capsys.readouterr().err


def test_figures_for_people():
    shown = [count(n) for n in (0, 999_999, 1_000_000, 3_456_789_000)]
    assert shown == ["0", "999,999", "1.00M", "3.46G"]
    shown = [span(n) for n in (0, 1_500_000, 90 * NANO, 3 * HOUR, 10 * DAY)]
    assert shown == ["0 ms", "1.5 ms", "1.5 min", "3 h", "10 days"]
