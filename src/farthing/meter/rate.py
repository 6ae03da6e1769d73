"""What an hour of this machine costs, and what nanoseconds and tokens cost by it.

Money is whole nano-dollars. Every figure is an exact fraction until the one rounding at the end.
Knows nothing of where settings lie: see meter/settings.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from farthing.errors import InputError
from farthing.meter.attribution import split

NANO = 10**9
HOUR = 3600 * NANO
"""Nanoseconds."""
YEAR_HOURS = Fraction(8766)
"""365.25 days."""
MOST = 10**12


@dataclass(frozen=True, kw_only=True, slots=True)
class MachinePrice:
    """The price of an hour: from what the machine costs to own and to power, or flat."""

    capital: Fraction = Fraction(400)
    """What the machine cost, in dollars."""

    years: Fraction = Fraction(4)
    """How long it lasts."""

    utilisation: Fraction = Fraction(1)
    """Share of its life it works: 0.25 makes every working hour carry three idle ones."""

    watts: Fraction = Fraction(20)
    """What it draws."""

    kwh: Fraction = Fraction(15, 100)
    """Dollars for a kilowatt-hour."""

    hour: Fraction | None = None
    """A flat price in dollars an hour (a cloud's rate); the five above are then not used."""

    def __post_init__(self) -> None:
        for name in ("capital", "years", "utilisation", "watts", "kwh", "hour"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MOST:
                raise InputError(f"{name} is {float(value):g}; it must be from 0 to {MOST:.0e}")
        if self.years < Fraction(1, 1000):
            raise InputError(f"years is {float(self.years):g}; it must be at least 0.001")
        if not Fraction(1, 10**6) <= self.utilisation <= 1:
            raise InputError(
                f"utilisation is {float(self.utilisation):g}; it is a share of the machine's life,"
                " above 0 and at most 1"
            )

    @property
    def hour_nanodollars(self) -> int:
        """An hour's work, as it is billed."""
        return self._hour(self.utilisation)

    @property
    def owned_nanodollars(self) -> int:
        """An hour of having the machine, busy or idle. Idle is taken to draw the same watts."""
        return self._hour(Fraction(1))

    def _hour(self, utilisation: Fraction) -> int:
        if self.hour is not None:
            return nearest(self.hour * NANO)
        owning = self.capital / (self.years * YEAR_HOURS * utilisation)
        # A machine that works a tenth of its life is powered for all of it.
        power = self.watts / 1000 * self.kwh / utilisation
        return nearest((owning + power) * NANO)

    def describe(self) -> str:
        """How the price of an hour comes about, in a line."""
        dollars = f"{self.hour_nanodollars / NANO:.6f} USD an hour"
        if self.hour is not None:
            return f"{dollars}, flat"
        share = (
            "" if self.utilisation == 1 else f", working {short(self.utilisation * 100)} % of it"
        )
        return (
            f"{dollars}: {short(self.capital)} USD of machine over {short(self.years)} years"
            f"{share}, {short(self.watts)} W at {short(self.kwh)} USD/kWh"
        )


def cost(nanoseconds: int, hour_nanodollars: int) -> int:
    """Whole nano-dollars for time at a price an hour, rounded once to the nearest (half up)."""
    assert nanoseconds >= 0 and hour_nanodollars >= 0
    return (2 * nanoseconds * hour_nanodollars + HOUR) // (2 * HOUR)


def bill(nanoseconds: Sequence[int], hour_nanodollars: int) -> tuple[int, list[int]]:
    """What a request owes, and its division by class; the classes sum to the total exactly."""
    total = cost(sum(nanoseconds), hour_nanodollars)
    return total, split(total, nanoseconds)


def per_million(tokens_per_second: float | Fraction, hour_nanodollars: int) -> int:
    """Nano-dollars for a million tokens at a measured speed."""
    if not 0 < tokens_per_second < float("inf"):
        raise InputError(f"{tokens_per_second} tokens/s; a speed is finite and above zero")
    return nearest(Fraction(hour_nanodollars) * 10**6 / (Fraction(tokens_per_second) * 3600))


def dollars(nanodollars: int) -> str:
    """A bill for people: cents, or below a dollar three figures that count."""
    value = nanodollars / NANO
    if nanodollars == 0 or abs(value) >= 1:
        return f"${value:,.2f}"
    places = min(9, 12 - len(str(abs(nanodollars))))
    return f"${value:.{places}f}"


def nearest(value: Fraction) -> int:
    """The nearest whole number, half up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def short(value: Fraction) -> str:
    return f"{float(value):.10g}"
