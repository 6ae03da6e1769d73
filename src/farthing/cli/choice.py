"""The flags that say how an answer is chosen, for every verb that answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from farthing.cli.local import Ask
from farthing.engine.types import Sampling
from farthing.errors import FormatError
from farthing.formats.packed import read_json

RECOMMENDED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    max_tokens: int = 512
    """Cut the answer after this many tokens; 0 means only when nothing more fits."""

    temperature: float | None = None
    """How freely to choose; 0 takes the likeliest token. Unset: as the checkpoint recommends, else
    0. The same holds for the next four."""

    top_k: int | None = None
    """Choose among the k likeliest tokens; 0 means all."""

    top_p: float | None = None
    """Choose among the likeliest tokens that together reach this probability."""

    min_p: float | None = None
    """Drop tokens below this share of the likeliest one's probability."""

    repetition_penalty: float | None = None
    """Above 1 makes every token that was there before less likely."""

    presence_penalty: float = 0.0
    """Taken once from the score of a token that is in the answer already."""

    frequency_penalty: float = 0.0
    """Taken each time a token is in the answer already."""

    seed: int | None = None
    """The same seed gives the same answer, to the bit. Unset: a new one each time."""

    stop: tuple[str, ...] = ()
    """End the answer before this text. May be given several times."""

    def ask(self, recommended: Mapping[str, Any]) -> Ask:
        """With `recommended` (generation_config.json) where a flag was not given."""
        greedy = recommended.get("do_sample") is False
        values: dict[str, Any] = {"temperature": 0.0}
        for name in RECOMMENDED:
            given = getattr(self, name)
            if given is None and not greedy:
                given = recommended.get(name)
            if given is not None:
                values[name] = given
        sampling = Sampling(
            **values,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=int.from_bytes(os.urandom(8)) if self.seed is None else self.seed,
        )
        return Ask(max_tokens=self.max_tokens, sampling=sampling, stop=self.stop)


def recommended(folder: Path) -> Mapping[str, Any]:
    """What the checkpoint's makers recommend, or nothing. FormatError where it is no number."""
    path = folder / "generation_config.json"
    found = read_json(path) if path.exists() else {}
    for name in RECOMMENDED:
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise FormatError(f"{path}: {name} is {str(value)[:40]!r}; a number was expected")
    return found
