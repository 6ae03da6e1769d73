"""Rows of a run: the same each time, each token once a round, targets within documents."""

from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farthing.learn import corpus
from farthing.learn.batches import Batch, Rows
from farthing.learn.corpus import Corpus


def corpus_of(lengths: list[int], *, first: int = 0, masked: bool = False) -> Corpus:
    """Every token of it is another: first, first + 1 and so on."""
    starts = np.cumsum([0, *lengths]).astype(np.int64)
    tokens = np.arange(first, first + starts[-1], dtype=np.uint32)
    return Corpus(Path("none"), tokens, starts, tokens % 3 > 0 if masked else None, {})


def rows(corpora: list[Corpus], **changes: Any) -> Rows:
    given = {"length": 8, "rows": 64, "seed": 3} | changes
    shares = given.pop("shares", [1.0] * len(corpora))
    return Rows(corpora, shares, **given)


LENGTHS = st.lists(st.integers(2, 30), min_size=1, max_size=12)
some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@some
@given(lengths=LENGTHS, length=st.integers(1, 20), seed=st.integers(0, 5))
def test_each_token_is_seen_once_a_round(lengths: list[int], length: int, seed: int) -> None:
    total, rounds = sum(lengths), 3
    count = -(-total * rounds // length)
    taken = rows([corpus_of(lengths)], length=length, rows=count, seed=seed).take(0, count)
    seen = taken.tokens.flatten()[: total * rounds].tolist()
    for turn in range(rounds):
        assert sorted(seen[turn * total : (turn + 1) * total]) == list(range(total))


@some
@given(lengths=LENGTHS, length=st.integers(1, 20), seed=st.integers(0, 5))
def test_what_follows_is_of_the_same_document_or_not_learned(
    lengths: list[int], length: int, seed: int
) -> None:
    """Tokens count up within a document, so its own successor is one more."""
    made = corpus_of(lengths, masked=True)
    ends = set((made.starts[1:] - 1).tolist())
    taken = rows([made], length=length, rows=9, seed=seed).take(0, 9)
    targets = taken.targets.numpy()
    before = np.concatenate([taken.tokens.numpy()[:, :1], targets[:, :-1]], 1)
    before[:, 1:] = targets[:, :-1]
    follows = ~np.isin(before, list(ends))
    assert (targets[follows] == before[follows] + 1).all()
    assert (taken.learned.numpy() == (follows & (targets % 3 > 0))).all()


@some
@given(lengths=LENGTHS, length=st.integers(2, 20), seed=st.integers(0, 5))
def test_rows_of_whole_documents_learn_each_token_once_a_round_with_all_before_it(
    lengths: list[int], length: int, seed: int
) -> None:
    made, rounds, room = corpus_of(lengths), 3, length + 1
    # a document longer than a row is cut into pieces, and none has but one token
    begins = sorted(
        {
            int(at)
            for begin, end in pairwise(made.starts)
            for at in (begin, *np.minimum(np.arange(begin + room, end, room), end - 2))
        }
    )
    taught = sum(lengths) - len(begins)  # a first token follows nothing
    count = rounds * len(begins)
    taken = rows([made], length=length, rows=count, seed=seed, whole=True).take(0, count)

    once = Counter(taken.targets[taken.learned].tolist()[: rounds * taught])
    assert len(once) == taught and set(once.values()) == {rounds}
    for row in range(count):
        assert int(taken.tokens[row, 0]) in begins
        ids = [int(taken.tokens[row, 0]), *taken.targets[row].tolist()]
        for at in torch.nonzero(taken.learned[row])[:, 0].tolist():
            target = ids[at + 1]
            begin = begins[bisect_right(begins, target) - 1]
            assert ids[at + 1 - (target - begin) : at + 2] == list(range(begin, target + 1))


def test_rows_of_whole_documents_are_the_same_however_they_are_taken() -> None:
    corpora = [corpus_of([5, 9, 14]), corpus_of([7, 3], first=1000)]
    whole = rows(corpora, whole=True).take(0, 64)
    for first in (40, 3, 63, 0):
        later = rows(corpora, whole=True).take(first, 1)
        assert_same(later, whole, slice(first, first + 1))


@some
@given(lengths=LENGTHS, length=st.integers(1, 20), seed=st.integers(0, 5))
def test_positions_count_from_a_documents_start_or_the_rows(
    lengths: list[int], length: int, seed: int
) -> None:
    made = corpus_of(lengths)
    begins = set(made.starts[:-1].tolist())
    taken = rows([made], length=length, rows=9, seed=seed).take(0, 9)
    for tokens, positions, documents in zip(
        taken.tokens.tolist(), taken.positions.tolist(), taken.documents.tolist(), strict=True
    ):
        expected, current = [], []
        for i, token in enumerate(tokens):
            fresh = i == 0 or token in begins
            expected.append(0 if fresh else expected[-1] + 1)
            current.append(0 if i == 0 else current[-1] + (token in begins))
        assert positions == expected
        assert documents == current


def test_a_token_sees_its_document_up_to_itself() -> None:
    taken = rows([corpus_of([3, 5, 2, 9])]).take(0, 6)
    seen = taken.seen()
    for row in range(6):
        for i in range(8):
            for j in range(8):
                same = taken.documents[row, i] == taken.documents[row, j]
                assert bool(seen[row, i, j]) == bool(same and j <= i)


def test_rows_are_the_same_however_they_are_taken() -> None:
    """So a resumed run goes on with the rows it would have had."""
    corpora = [corpus_of([5, 9, 14]), corpus_of([7, 3], first=1000)]
    whole = rows(corpora).take(0, 64)
    later = rows(corpora)
    for first in (40, 3, 63, 0):
        assert_same(later.take(first, 1), whole, slice(first, first + 1))
    assert_same(later.take(10, 20), whole, slice(10, 30))


def assert_same(got: Batch, whole: Batch, mine: slice) -> None:
    for name in Batch.__slots__:
        assert torch.equal(getattr(got, name), getattr(whole, name)[mine]), name


def test_another_seed_is_another_order() -> None:
    made = [corpus_of([2] * 50)]
    one, two = (rows(made, seed=seed).take(0, 12).tokens for seed in (1, 2))
    assert not torch.equal(one, two)
    turns = rows(made, length=100, rows=2).take(0, 2).tokens
    assert not torch.equal(turns[0], turns[1]), "each round has an order of its own"


def test_corpora_share_rows_as_told() -> None:
    corpora = [corpus_of([40]), corpus_of([40], first=1000)]
    taken = rows(corpora, rows=4000, shares=[3.0, 1.0]).take(0, 4000)
    of = Counter((taken.tokens[:, 0] >= 1000).tolist())
    assert of[True] + of[False] == 4000
    assert 900 < of[True] < 1100
    own = (taken.tokens >= 1000).any(1) == (taken.tokens >= 1000).all(1)
    assert own.all(), "a row is of one corpus"


@pytest.mark.parametrize("vocabulary", [1 << 16, 1 << 17])
def test_a_corpus_on_disk_gives_the_same_rows(tmp_path: Path, vocabulary: int) -> None:
    rng = np.random.default_rng(0)
    documents = [
        (rng.integers(0, vocabulary, n).tolist(), (rng.random(n) < 0.5).tolist())
        for n in (4, 17, 2, 9)
    ]
    written = corpus.write(tmp_path / "c", documents, vocabulary=vocabulary, about={"from": "x"})
    opened = Corpus.open(tmp_path / "c")
    assert opened.documents == 4
    ids = np.concatenate([ids for ids, _ in documents])
    kept = Corpus(
        tmp_path,
        ids,
        np.cumsum([0, 4, 17, 2, 9]),
        np.concatenate([np.asarray(mask) for _, mask in documents]),
        {},
    )
    for one in (written, opened):
        assert_same(rows([one]).take(0, 9), rows([kept]).take(0, 9), slice(None))
