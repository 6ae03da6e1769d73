"""The same tokens at somebody else's price: as used, as reserved, and where the two meet.

Knows the tokens only: nothing here says that their model answers as ours does.
"""

from fractions import Fraction

import msgspec

from farthing.meter.prices import Price
from farthing.meter.rate import HOUR, dollars
from farthing.meter.rows import ClockTotal, Line


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-dollars for the same tokens. Shares are of the machine's time."""

    theirs: int
    used: int
    """Ours as billed: the time the work took."""
    reserved: int | None
    """Ours with the machine's idle and loading time; None where no clock was kept."""
    utilisation: float | None
    """Share of its time the machine worked."""
    even: float | None
    """The utilisation from which we are cheaper. Above 1: never, at this speed and price of an
    hour. None: they ask nothing, or nothing was used."""

    @property
    def verdict(self) -> str:
        """Who is cheaper, plainly."""
        if self.even is None:
            return "There is nothing to compare: no priced tokens were used."
        if self.even > 1:
            return (
                f"They are cheaper. Even if it worked every second, this machine would cost"
                f" {self.even:.3g} times what they ask for these tokens."
            )
        if self.reserved is None:
            return (
                f"We are cheaper once this machine works {percent(self.even)} of its time;"
                " how much it does is not known: no clock was kept."
            )
        if self.reserved > self.theirs:
            return (
                f"They are cheaper today: with its idle time this machine cost"
                f" {dollars(self.reserved)}, they ask {dollars(self.theirs)}. It worked"
                f" {percent(self.utilisation)} of the time; we are cheaper from"
                f" {percent(self.even)} on."
            )
        times = self.theirs / self.reserved if self.reserved else float("inf")
        return (
            f"We are cheaper, idle time included: they ask {times:.3g} times what this machine"
            " cost."
        )


def compare(total: Line, clock: ClockTotal, price: Price, owned_nanodollars: int) -> Comparison:
    """Bills and clock of one stretch of time against a price.

    `owned_nanodollars`, the price of an hour of having the machine, stands in where no clock was
    kept. A machine that works a share u of its time pays for 1/u of what the work took: we are
    even where that is what they ask.
    """
    fresh, cached, decode, _ = total.tokens
    theirs = price.of(fresh, cached, decode)
    hour = Fraction(clock.nanodollars * HOUR, clock.time) if clock.time else owned_nanodollars
    owned = Fraction(total.time) * hour / HOUR
    return Comparison(
        theirs=theirs,
        used=total.nanodollars,
        reserved=clock.nanodollars if clock.time else None,
        utilisation=clock.spent.busy / clock.time if clock.time else None,
        even=float(owned / theirs) if theirs else None,
    )


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.3g} %"
