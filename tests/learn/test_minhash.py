"""MinHash finds planted near-duplicates among many texts, and the estimate is the true share."""

import random

import numpy as np
import pytest

from farthing.errors import InputError
from farthing.learn import grams
from farthing.learn.minhash import BANDS, ROWS, SIZE, Near, meetings, of_shingles, signature

VOCABULARY = [f"word{i}" for i in range(2000)]


def text(chance: random.Random, length: int = 200) -> str:
    return " ".join(chance.choices(VOCABULARY, k=length))


def edited(chance: random.Random, text: str, edits: int) -> str:
    words = text.split()
    for place in chance.sample(range(0, len(words), 5), edits):
        words[place] = "edited"
    return " ".join(words)


def jaccard(one: str, other: str) -> float:
    a, b = set(grams.shingles(one, 5).tolist()), set(grams.shingles(other, 5).tolist())
    return len(a & b) / len(a | b)


def test_the_estimate_is_the_share_of_common_runs():
    chance = random.Random(0)
    errors = []
    for edits in range(0, 40, 2):
        one = text(chance)
        other = edited(chance, one, edits)
        same = (signature(one) == signature(other)).mean()
        errors.append(same - jaccard(one, other))
    assert abs(np.mean(errors)) < 0.03 and max(map(abs, errors)) < 0.15


def test_signatures_of_values_in_order_are_as_good():
    """Hash functions of small numbers in a row: a weak family would favour some of them."""
    sets = [np.arange(start, start + 100, dtype=np.uint64) for start in range(0, 100, 10)]
    first = of_shingles(sets[0])
    for start, other in zip(range(0, 100, 10), sets, strict=True):
        true = (100 - start) / (100 + start)
        assert abs((of_shingles(other) == first).mean() - true) < 0.15


def test_planted_near_duplicates_are_found_and_no_others():
    chance = random.Random(1)
    texts = [text(chance) for _ in range(1500)]
    planted = {len(texts) + i: i * 7 for i in range(100)}
    texts += [edited(chance, texts[place], 2) for place in planted.values()]
    near = Near(0.8)
    for one in texts:
        near.add(signature(one))
    found = near.first_of()
    assert all(jaccard(texts[a], texts[b]) > 0.88 for a, b in planted.items())
    assert sum(found[a] == b for a, b in planted.items()) >= 98
    assert (found[:1500] == -1).all()


def test_the_first_stays_and_a_chain_does_not_run_away():
    """a ~ b ~ c, but a and c are not near: b goes, c stays."""
    chance = random.Random(2)
    a = text(chance, 100)
    b = edited(chance, a, 3)
    c = " ".join(["new"] * 12 + b.split()[12:])
    assert jaccard(a, b) > 0.7 and jaccard(b, c) > 0.7 > jaccard(a, c)
    near = Near(0.7)
    for one in (a, b, c, a, a):
        near.add(signature(one))
    assert near.first_of().tolist() == [-1, 0, -1, 0, 0]


def test_a_flood_of_one_text_is_one_text():
    near = Near(0.9)
    for one in [signature("the same words again and again")] * 5000:
        near.add(one)
    assert near.first_of().tolist() == [-1] + [0] * 4999


def test_short_texts_are_compared_whole():
    near = Near(0.8)
    for one in ("yes", "no", "Yes!", "the end", "the  end.", ""):
        near.add(signature(one))
    assert near.first_of().tolist() == [-1, -1, 0, -1, 3, -1]


def test_texts_that_meet_in_no_band_are_alone():
    chance = random.Random(3)
    groups = meetings(np.stack([signature(text(chance)) for _ in range(50)]))
    assert groups.shape == (50, BANDS) and (groups == -1).all()


def test_two_that_meet_in_one_band_are_near_only_if_they_share_enough():
    """b and c share 101 of 120 values but only one whole band, and a stands in it as well."""
    a, b = np.arange(SIZE, dtype=np.uint32), np.arange(SIZE, dtype=np.uint32) + 1000
    b[:ROWS] = a[:ROWS]
    c = b.copy()
    c[ROWS::ROWS] = 7
    assert (b == c).sum() == 101
    near = Near(0.8)
    for one in (a, b, c):
        near.add(one)
    assert near.first_of().tolist() == [-1, -1, 1]


@pytest.mark.parametrize("shared, found", [(96, 0), (95, -1)])
def test_near_begins_at_the_threshold(shared, found):
    """Of 120 values 96 are 0.8."""
    a = np.arange(SIZE, dtype=np.uint32)
    b = np.where(np.arange(SIZE) < shared, a, a + 1000).astype(np.uint32)
    near = Near(0.8)
    for one in (a, b):
        near.add(one)
    assert near.first_of().tolist() == [-1, found]


def test_a_threshold_out_of_reach_is_refused():
    for wrong in (0.3, 1.1):
        with pytest.raises(InputError, match="expected a share"):
            Near(wrong)
    assert Near(0.8).first_of().tolist() == []


def test_words_are_what_people_take_for_words():
    assert grams.words("Don't stop: 3.5 km, naïve 你好！") == [
        *("don", "t", "stop", "3", "5", "km", "naïve", "你", "好")
    ]
    hashes = grams.hashed(grams.words("a b c a b c"))
    runs = grams.grams(hashes, 3)
    assert len(runs) == 4 and runs[0] == runs[3] and len(set(runs.tolist())) == 3
    assert len(grams.grams(hashes, 7)) == 0
    assert grams.grams(hashes, 2)[0] != grams.grams(hashes[::-1].copy(), 2)[-1]
