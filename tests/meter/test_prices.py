"""Prices are found by the names people use, offline, and a miss names what is near."""

import socket
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import NotFound
from farthing.meter import prices
from farthing.meter.prices import Price, find, nearest_names, reported

DOLLAR = 10**9


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("prices are not fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", ["gpt-5.2", "GPT 5.2", "openai/gpt-5.2", " gpt_5.2 "])
def test_a_model_is_found_by_a_loose_name(name):
    price = find(name)
    assert price.name == "openai/gpt-5.2"
    assert (price.fresh, price.decode) == (1_750_000_000, 14 * DOLLAR)
    assert not price.reported
    assert not price.missing
    assert "genai-prices" in price.source


def test_a_model_only_sold_by_others_is_found_there():
    assert find("qwen2.5-72b-instruct").name.endswith("Qwen2.5-72B-Instruct")


def test_a_price_that_changes_with_the_day_is_that_of_the_day():
    early, late = (find("deepseek-chat", datetime(2025, 3, 3, h, tzinfo=UTC)) for h in (3, 18))
    assert early.decode != late.decode


def test_a_price_in_tiers_says_so():
    assert "prompts" in find("gemini-2.5-pro").note


def test_a_miss_names_what_is_near():
    with pytest.raises(NotFound, match=r"gpt-5\.22.*near it are gpt-5\.2"):
        find("gpt-5.22")
    with pytest.raises(NotFound, match="no price for 'zzzzzzzz'"):
        find("zzzzzzzz")
    with pytest.raises(NotFound):
        find("")
    assert nearest_names("DeepSeek-V3.3")[0].startswith("deepseek")


@given(st.text(max_size=40))
def test_any_text_finds_a_price_or_is_told_there_is_none(name):
    try:
        assert isinstance(find(name), Price)
    except NotFound as error:
        assert len(str(error)) < 1000


def test_reported_figures_are_marked_and_carry_source_and_date():
    assert len(reported()) > 10
    for price in reported():
        assert price.reported
        assert price.source
        assert price.date
        assert price.name.startswith("reported/")
        assert find(price.name) == price
        assert price.decode is not None


def test_our_own_book_answers_by_the_plain_name_only_where_the_market_has_none():
    assert find("deepseek-v2").reported
    assert find("deepseek-v2").fresh == 480_000_000
    assert not find("gpt-4o").reported
    assert find("reported/gpt-4o").decode == 5 * DOLLAR


def test_every_reported_name_is_its_own():
    names = [price.name for price in reported()]
    assert len(set(names)) == len(names)
    assert prices._book().keys() == {name.removeprefix("reported/") for name in names}


def test_other_money_is_turned_and_the_rate_is_told():
    price = find("deepseek-2024-08")
    assert (price.cached, price.decode) == (13_900_000, 278_000_000)
    assert price.missing == ["input"]
    assert "CNY" in price.note


@given(*[st.integers(0, 10**12)] * 3)
def test_tokens_are_priced_exactly_and_rounded_once(fresh, cached, decode):
    price = find("gpt-5.2")
    exact = Fraction(fresh * price.fresh + cached * price.cached + decode * price.decode, 10**6)
    assert abs(price.of(fresh, cached, decode) - exact) <= Fraction(1, 2)
