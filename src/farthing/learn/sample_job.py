"""What a teacher is asked, and how: the settings of sampling, checked."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from farthing.errors import InputError
from farthing.learn.seeds import Prompts, Seeds
from farthing.meter.prices import Price

MOST_SEED = (1 << 48) - 1
"""Above it are the seeds of texts that models are measured on."""


@dataclass(frozen=True, kw_only=True)
class Job:
    folder: Path
    url: str
    prompts: Prompts
    model: str | None = None
    """None: the only one that is served there."""

    key: str | None = None
    price: Price | None = None
    """Where the endpoint does not say what an answer costs."""

    unpriced: bool = False
    """Take answers whose cost nobody knows."""

    samples: int = 10_000
    tokens: int = 0
    """Of answers: when there are so many, no more is asked. 0: no such end."""

    seconds: float = 0.0
    """After which no more is asked. 0: no such end."""

    streams: int = 32
    answers: int = 1
    """To one question, in one request."""

    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 512
    system: str | None = None
    seed: int = 0
    grow: int = 0
    """Items that the teacher adds to the largest list of the seeds, before all else."""

    patience: float = 24 * 3600.0
    """Seconds for which an endpoint may be away."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("samples", 1, 10**9),
            ("tokens", 0, 10**15),
            ("streams", 1, 1024),
            ("answers", 1, 128),
            ("temperature", 0, 2),
            ("top_p", 0, 1),
            ("max_tokens", 1, 1 << 20),
            ("grow", 0, 100_000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"{name} is {value}; expected {least} to {most}")
        if self.grow and not isinstance(self.prompts, Seeds):
            raise InputError("prompts that are given can't be grown; give seeds, or leave out grow")
        if self.temperature == 0 and self.answers > 1:
            raise InputError(f"{self.answers} answers at temperature 0 are all alike; ask for one")

    def identity(self, model: str) -> dict[str, Any]:
        """What decides the answers: not how many or how fast, nor where the model is served."""
        names = ("seed", "answers", "temperature", "top_p", "max_tokens", "system")
        decides = {name: getattr(self, name) for name in names}
        decides |= {"grow": self.grow} if self.grow else {}
        return {"model": model, "prompts": self.prompts.about} | decides

    def settings(self, model: str, index: int) -> dict[str, Any]:
        names = ("max_tokens", "temperature", "top_p")
        asked = {"model": model} | {name: getattr(self, name) for name in names}
        several = {"n": self.answers} if self.answers > 1 else {}
        return asked | {"seed": request_seed(self.seed, index)} | several


def request_id(index: int) -> str:
    return f"{index:08}"


def request_seed(seed: int, index: int) -> int:
    return int.from_bytes(sha256(f"{seed} {index}".encode()).digest()[:8], "big") & MOST_SEED
