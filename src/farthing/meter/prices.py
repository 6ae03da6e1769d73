"""What others charge: genai-prices as installed, and reported figures of our own book.

Nothing is fetched. Prices are whole nano-dollars for a million tokens.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

from farthing.errors import NotFound
from farthing.meter.rate import NANO, nearest

REPORTED = "reported/"
PROBE = 1000
"""Tokens asked about: few, so that a price in tiers by prompt length gives its lowest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """Nano-dollars for a million tokens of each class; None where the source gives no figure."""

    name: str
    fresh: int | None
    cached: int | None
    decode: int | None
    source: str
    date: str
    reported: bool = False
    """A figure from an article, not from a provider's price list."""
    note: str = ""

    def of(self, fresh: int, cached: int, decode: int) -> int:
        """Nano-dollars for so many tokens, rounded once. What has no figure counts as nothing."""
        pairs = ((fresh, self.fresh), (cached, self.cached), (decode, self.decode))
        total = sum(tokens * (price or 0) for tokens, price in pairs)
        return nearest(Fraction(total, 10**6))

    @property
    def missing(self) -> list[str]:
        """Classes without a figure: what `of` gives is then less than what would be charged."""
        figures = (("input", self.fresh), ("cached input", self.cached), ("output", self.decode))
        return [name for name, figure in figures if figure is None]


def find(name: str, at: datetime | None = None) -> Price:
    """The price of a model by a loose name, at a moment (now, unless told).

    `PROVIDER/MODEL` asks one provider, `reported/NAME` our own book; a plain name is looked up at
    the model's maker first, then in our book, then wherever it is sold. Raises NotFound with the
    nearest names.
    """
    plain = re.sub(r"[\s_]+", "-", name.strip().lower())
    book = _book()
    if plain.startswith(REPORTED) and plain.removeprefix(REPORTED) in book:
        return book[plain.removeprefix(REPORTED)]
    if found := _at_maker(plain):
        return _priced(*found, at or datetime.now(UTC))
    if plain in book:
        return book[plain]
    for provider, model in _models():
        if _bare(plain) in (_bare(model.id), _bare(model.id.split("/")[-1])) and _has_price(model):
            return _priced(provider, model, at or datetime.now(UTC))
    near = nearest_names(plain)
    also = f"; near it are {', '.join(near)}" if near else ""
    raise NotFound(
        f"no price for {name[:80]!r} among {len(_names())} models of genai-prices"
        f" {version('genai-prices')} and our own book{also}"
    )


def nearest_names(name: str, count: int = 6) -> list[str]:
    """Known names like this one, the likest first."""
    return difflib.get_close_matches(name.lower(), _names(), count, 0.55)


def reported() -> list[Price]:
    """Our own book, in its order."""
    return list(_book().values())


def _at_maker(name: str) -> tuple[Provider, ModelInfo] | None:
    """By the patterns of genai-prices: they know aliases and dated names."""
    provider, _, rest = name.partition("/")
    for who, model in ((None, name), (provider, rest)):
        try:
            found = get_snapshot().find_provider_model(model, None, who, None)
        except LookupError:
            continue
        if model and _has_price(found[1]):
            return found
    return None


def _priced(provider: Provider, model: ModelInfo, at: datetime) -> Price:
    def ask(**tokens: int) -> int:
        charged = model.calc_price(Usage(**tokens), provider, genai_request_timestamp=at)
        return nearest(Fraction(charged.total_price) * NANO * 10**6 / PROBE)

    return Price(
        name=f"{provider.id}/{model.id}",
        fresh=ask(input_tokens=PROBE),
        cached=ask(input_tokens=PROBE, cache_read_tokens=PROBE),
        decode=ask(output_tokens=PROBE),
        source=f"genai-prices {version('genai-prices')}, {provider.name}",
        date=at.date().isoformat(),
        note=_changes(model, at),
    )


def _changes(model: ModelInfo, at: datetime) -> str:
    prices = vars(model.get_prices(at)).values()
    tiers = any(price is not None and not isinstance(price, Decimal) for price in prices)
    return "prompts beyond a length cost more there" if tiers else ""


def _has_price(model: ModelInfo) -> bool:
    prices = vars(model.get_prices(datetime.now(UTC)))
    return any(prices.get(f"{way}_mtok") is not None for way in ("input", "output"))


def _models() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            yield provider, model


@cache
def _names() -> tuple[str, ...]:
    sold = {model.id.lower() for _, model in _models()}
    return (*sorted(sold | _book().keys()),)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _book() -> dict[str, Price]:
    text = (files(__package__) / "prices.toml").read_text("utf-8")
    book = tomllib.loads(text, parse_float=Decimal)
    return {entry["name"]: _entry(entry, book) for entry in book["price"]}


def _entry(entry: dict[str, Any], book: dict[str, Any]) -> Price:
    currency = entry.get("currency", "USD")
    rate = Fraction(book["currency"][currency])

    def figure(name: str, otherwise: str = "all") -> int | None:
        amount = entry.get(name, entry.get(otherwise))
        return None if amount is None else nearest(Fraction(amount) * rate * NANO)

    notes = [entry["note"]] if "note" in entry else []
    if currency != "USD":
        notes.append(f"given in {currency}, taken at {book['currency'][currency]} USD")
    return Price(
        name=f"{REPORTED}{entry['name']}",
        fresh=figure("input"),
        cached=figure("cached", "input" if "input" in entry else "all"),
        decode=figure("output"),
        source="; ".join(book["sources"][key] for key in entry["sources"]),
        date=entry["date"],
        reported=True,
        note="; ".join(notes),
    )
