"""Which samples come, in an order that the seed alone decides."""

from collections.abc import Iterator, Sequence
from random import Random

from farthing.errors import InputError
from farthing.learn.tasks import (
    arithmetic,
    classifying_en,
    classifying_zh,
    counting,
    dates_en,
    dates_zh,
    extract_en,
    extract_zh,
    lookup,
    problems_en,
    problems_zh,
    recalling,
    rewriting_en,
    rewriting_zh,
    sorting,
    translating,
    units,
)
from farthing.learn.tasks.types import Family, Sample, Split

FAMILIES: list[Family] = [
    *arithmetic.FAMILIES,
    *problems_en.FAMILIES,
    *problems_zh.FAMILIES,
    *extract_en.FAMILIES,
    *extract_zh.FAMILIES,
    *sorting.FAMILIES,
    *dates_en.FAMILIES,
    *dates_zh.FAMILIES,
    *units.FAMILIES,
    *rewriting_en.FAMILIES,
    *rewriting_zh.FAMILIES,
    *classifying_en.FAMILIES,
    *classifying_zh.FAMILIES,
    *counting.FAMILIES,
    *lookup.FAMILIES,
    *translating.FAMILIES,
    *recalling.FAMILIES,
]
KINDS = tuple(dict.fromkeys(family.kind for family in FAMILIES))
LANGUAGES = ("en", "zh")
BLOCK = 4096
"""Samples of one generator: block i is the same whatever came before it."""


def samples(
    kinds: Sequence[str] = KINDS,
    languages: Sequence[str] = LANGUAGES,
    count: int = 1,
    seed: int = 0,
    split: Split = "train",
    first: int = 0,
) -> Iterator[Sample]:
    """Samples first..first+count of a seed's endless row, every kind and language as often.

    Raises InputError for a kind or language that is not known, or where none of them meet.
    """
    groups = grouped(kinds, languages)
    asked = ",".join(f"{kind}/{language}" for kind, language in groups)
    tables = list(groups.values())
    at, end = first, first + count
    while at < end:
        block, skip = divmod(at, BLOCK)
        rng = Random(f"{seed} {split} {asked} {block}")
        stop = min(BLOCK, end - block * BLOCK)
        for place in range(stop):
            table = tables[int(rng.random() * len(tables))]
            sample = table[int(rng.random() * len(table))].sample(rng, split)
            if place >= skip:
                yield sample
        at = block * BLOCK + stop


def grouped(
    kinds: Sequence[str], languages: Sequence[str]
) -> dict[tuple[str, str], tuple[Family, ...]]:
    """Families by kind and language, each as often as its share."""
    known("kind", kinds, KINDS)
    known("language", languages, LANGUAGES)
    found: dict[tuple[str, str], tuple[Family, ...]] = {}
    for family in FAMILIES:
        if family.kind in kinds and family.language in languages:
            key = family.kind, family.language
            found[key] = found.get(key, ()) + (family,) * family.share
    if not found:
        raise InputError(f"no task of kind {', '.join(kinds)} is in {', '.join(languages)}")
    return found


def known(what: str, asked: Sequence[str], held: Sequence[str]) -> None:
    """Raises InputError naming what is not known, and what is."""
    wrong = [name for name in asked if name not in held]
    if wrong or not asked:
        found = ", ".join(map(repr, wrong)) or "none"
        raise InputError(f"{what} {found:.200} is not known; known are {', '.join(held)}")
