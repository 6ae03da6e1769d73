"""Words of a text as numbers, and every run of n words as one: what texts are compared by.

A word is letters and digits in a row, in lower case; a Chinese, Japanese or Korean character is a
word by itself. Hashes are the same on every machine and in every run.
"""

import re
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
REMEMBERED = 1 << 20
"""Words whose hash is kept."""
FACTOR = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xBF58476D1CE4E5B9)
HALF = np.uint64(32)

_known: dict[str, int] = {}


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def hashed(words: list[str]) -> Hashes:
    """[W] of [W] words."""
    if len(_known) > REMEMBERED:
        _known.clear()
    return np.fromiter(map(_hash, words), np.uint64, len(words))


def grams(hashes: Hashes, n: int) -> Hashes:
    """[W - n + 1]: each run of n words; none if there are fewer."""
    count = len(hashes) - n + 1
    if count < 1:
        return hashes[:0]
    found = hashes[:count].copy()
    for place in range(1, n):
        found *= FACTOR
        found += hashes[place : place + count]
    return mixed(found)


def mixed(hashes: Hashes) -> Hashes:
    """Every bit of each now depends on all of its bits (splitmix64's middle step)."""
    found = (hashes ^ (hashes >> HALF)) * MIX
    return np.asarray(found ^ (found >> HALF))


def shingles(text: str, n: int) -> Hashes:
    """Different runs of n words; of a shorter text, the whole of it. Sorted."""
    hashes = hashed(words(text))
    return np.unique(grams(hashes, max(1, min(n, len(hashes)))))


def number(text: str) -> int:
    """64 bits of a text as it stands."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _hash(word: str) -> int:
    found = _known.get(word)
    if found is None:
        found = _known[word] = number(word)
    return found
