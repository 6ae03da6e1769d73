"""Flag over environment over TOML, unknown names refused, and a save that keeps the rest."""

from decimal import Decimal
from fractions import Fraction

import pytest

from farthing.errors import FarthingError, FormatError, InputError
from farthing.meter.rate import MachinePrice
from farthing.meter.settings import assumption, machine_price, save


@pytest.fixture
def toml(tmp_path):
    return tmp_path / "farthing.toml"


def test_nothing_set_is_the_stated_default(toml):
    price = machine_price(toml, {})
    assert price == MachinePrice()
    text = assumption(price, toml)
    assert "assumed" in text
    for part in ("400 USD", "4 years", "20 W", "0.15 USD/kWh", "--save", str(toml)):
        assert part in text


def test_flag_over_environment_over_toml(toml):
    toml.write_text("[machine]\nwatts = 30\nkwh = 0.3\ncapital = 700\n[other]\nx = 1\n")
    environ = {"FARTHING_MACHINE_WATTS": "40", "FARTHING_MACHINE_CAPITAL": "800"}
    price = machine_price(toml, environ, {"watts": Decimal("50.5"), "kwh": None})
    assert price == MachinePrice(watts=Fraction(101, 2), capital=Fraction(800), kwh=Fraction(3, 10))
    assert "as set" in assumption(price, toml)


def test_a_flat_hour_and_parts_exclude_each_other(toml):
    toml.write_text("[machine]\nhour = 0.05\n")
    assert machine_price(toml, {}).hour == Fraction(5, 100)
    assert machine_price(toml, {}, {"watts": 7}) == MachinePrice(watts=Fraction(7))
    toml.write_text("[machine]\nwatts = 9\n")
    assert machine_price(toml, {}, {"hour": 1}) == MachinePrice(hour=Fraction(1))
    toml.write_text("[machine]\nhour = 0.05\nwatts = 9\n")
    with pytest.raises(InputError, match="one or the other"):
        machine_price(toml, {})


@pytest.mark.parametrize(
    "text",
    [
        "[machine]\nwats = 3",
        '[machine]\nwatts = "many"',
        "[machine]\nwatts = true",
        "[machine]\nwatts = nan",
        "[machine]\nwatts = inf",
        "[machine]\nwatts = 1e999999",
        "[machine]\nwatts = -4",
        "[machine]\nwatts = [1]",
        "machine = 3",
        "[machine\n",
        "[[machine]]\nwatts = 3",
    ],
)
def test_what_is_not_understood_is_refused(toml, text):
    toml.write_text(text)
    with pytest.raises(FarthingError):
        machine_price(toml, {})


def test_an_unknown_name_is_answered_with_the_known(toml):
    with pytest.raises(InputError, match=r"'wats'.*known: capital, years"):
        machine_price(toml, {"FARTHING_MACHINE_WATS": "3"})


def test_a_file_that_is_no_text_is_named(toml):
    toml.write_bytes(b"\xff\xfe[machine]")
    with pytest.raises(FormatError, match=r"farthing\.toml"):
        machine_price(toml, {})


def test_saving_keeps_comments_and_other_tables(toml):
    toml.write_text("# mine\n[serve]\nport = 9000  # taken\n\n[machine]\nkwh = 0.3 # Berlin\n")
    save(toml, {"watts": Decimal("65"), "capital": None})
    assert machine_price(toml, {}) == MachinePrice(watts=Fraction(65), kwh=Fraction(3, 10))
    for kept in ("# mine", "port = 9000  # taken", "# Berlin"):
        assert kept in toml.read_text()
    assert [path.name for path in toml.parent.iterdir()] == ["farthing.toml"]


def test_saving_a_flat_hour_takes_the_place_of_the_parts_and_back(toml):
    save(toml, {"watts": 65})
    save(toml, {"hour": Decimal("0.02")})
    assert machine_price(toml, {}) == MachinePrice(hour=Fraction(2, 100))
    save(toml, {"watts": 65})
    assert machine_price(toml, {}) == MachinePrice(watts=Fraction(65))


def test_saving_nonsense_changes_nothing(toml):
    toml.write_text("[machine]\nwatts = 9\n")
    for bad in ({}, {"utilisation": 3}, {"hour": 1, "watts": 2}):
        with pytest.raises(InputError):
            save(toml, bad)
        assert toml.read_text() == "[machine]\nwatts = 9\n"
