"""Which texts come, in an order that the seed alone decides."""

from collections.abc import Iterator, Sequence
from random import Random

from farthing.errors import InputError
from farthing.learn.documents import Document
from farthing.learn.tasks.choosing import LANGUAGES, known
from farthing.learn.tasks.fields import pick
from farthing.learn.tasks.texts import (
    entries_en,
    entries_zh,
    greetings,
    guides_zh,
    sayings_zh,
    scenes_zh,
    stories_zh,
    talks_en,
    talks_zh,
)
from farthing.learn.tasks.texts.beats import Plot
from farthing.learn.tasks.types import Split

PLOTS: dict[tuple[str, str], list[Plot]] = {
    ("story", "zh"): stories_zh.PLOTS,
    ("entry", "zh"): entries_zh.PLOTS,
    ("scene", "zh"): scenes_zh.PLOTS,
    ("saying", "zh"): sayings_zh.PLOTS,
    ("guide", "zh"): guides_zh.PLOTS,
    ("entry", "en"): entries_en.PLOTS,
    **{(kind, "en"): plots for kind, plots in talks_en.PLOTS.items()},
    **{("greeting", language): plots for language, plots in greetings.PLOTS.items()},
    **{(kind, "zh"): plots for kind, plots in talks_zh.PLOTS.items()},
}
SHARES = {
    "story": 5,
    "entry": 4,
    "scene": 4,
    "guide": 2,
    "talk": 2,
    "letter": 2,
    "saying": 1,
    "news": 1,
    "greeting": 1,
}
"""How often a kind comes, beside the others, in a language that has it."""
KINDS = tuple(dict.fromkeys(kind for kind, _ in PLOTS))
BLOCK = 1024


def texts(
    kinds: Sequence[str] = KINDS,
    languages: Sequence[str] = ("en", "zh"),
    count: int = 1,
    seed: int = 0,
    split: Split = "train",
) -> Iterator[Document]:
    """Documents of text. Those of the two splits are drawn apart; their plots are the same.

    Raises InputError for a kind that is not known, or that no language asked for has.
    """
    known("kind", kinds, KINDS)
    known("language", languages, LANGUAGES)
    held = {key: plots for key, plots in PLOTS.items() if key[0] in kinds and key[1] in languages}
    if not held:
        raise InputError(f"no text of kind {', '.join(kinds)} is in {', '.join(languages)}")
    weighted = [
        (*key, [plot for plot in plots for _ in range(plot.share)])
        for key, plots in held.items()
        for _ in range(SHARES[key[0]])
    ]
    for block in range(0, count, BLOCK):
        rng = Random(f"{seed} {split} {sorted(held)} {block}")
        for _ in range(min(BLOCK, count - block)):
            kind, language, plots = pick(rng, weighted)
            yield pick(rng, plots).document(rng, kind, language)
