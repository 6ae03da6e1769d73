"""How much loss an owner of a server puts up with: `kl=0.02,same_top=0.97,perplexity=1.05`."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from farthing.errors import InputError
from farthing.formats.quality import Loss

EXAMPLE = "kl=0.02,same_top=0.97,perplexity=1.05"
RANGES = {"kl": (0.0, 1e3), "same_top": (0.0, 1.0), "perplexity": (1.0, 1e9)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a measured mean may be; None leaves it open."""

    kl: float | None = None
    """Nats a token, at most."""

    same_top: float | None = None
    """The share of tokens with the same likeliest next one, at least."""

    perplexity: float | None = None
    """Perplexity divided by the reference's, at most."""

    def over(self, loss: Loss) -> tuple[str, ...]:
        """Where a loss is past this, in words."""
        found = []
        if self.kl is not None and loss.kl.mean > self.kl:
            found.append(f"KL {loss.kl.mean:.3g} is above {self.kl:g}")
        if self.same_top is not None and loss.same_top.mean < self.same_top:
            found.append(f"same top {loss.same_top.mean:.4g} is below {self.same_top:g}")
        if self.perplexity is not None and ratio(loss) > self.perplexity:
            found.append(f"perplexity x {ratio(loss):.4f} is above {self.perplexity:g}")
        return tuple(found)

    def stretched(self, losses: Sequence[Loss]) -> str:
        """What would have to be allowed for all of these to pass, as `parse` reads it: a little
        more than was measured, for it is rounded."""
        found = []
        if self.kl is not None:
            found.append(f"kl={max(self.kl, *(1.006 * loss.kl.mean for loss in losses)):.3g}")
        if self.same_top is not None:
            least = min(self.same_top, *(loss.same_top.mean - 0.0005 for loss in losses))
            found.append(f"same_top={max(least, 0):.3f}")
        if self.perplexity is not None:
            most = max(self.perplexity, *(ratio(loss) + 0.0005 for loss in losses))
            found.append(f"perplexity={most:.3f}")
        return ",".join(found)


def ratio(loss: Loss) -> float:
    """Perplexity to the reference's."""
    return loss.perplexity.mean / loss.reference_perplexity.mean


def parse(text: str) -> Budget:
    """From the command line. InputError names the part that is wrong."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in RANGES:
            raise _wrong(f"{part!r} is none of {', '.join(f'{n}=NUMBER' for n in RANGES)}")
        if name in found:
            raise _wrong(f"{name} is given twice")
        found[name] = _number(name, value)
    return Budget(**found)


def _number(name: str, text: str) -> float:
    least, most = RANGES[name]
    try:
        value = float(text)
    except ValueError:
        raise _wrong(f"{name} is {text!r}, which is no number") from None
    if not isfinite(value) or not least <= value <= most:
        raise _wrong(f"{name} is {text}; it must be from {least:g} to {most:g}")
    return value


def _wrong(what: str) -> InputError:
    return InputError(f"loss budget: {what}; like {EXAMPLE}")
