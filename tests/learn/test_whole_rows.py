"""Rows of whole documents: none is cut, each epoch has them all, and the order is the seed's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InputError
from farthing.learn.whole_rows import WholeRows, cut


def rows(sizes, *, length=12, epochs=2, seed=0):
    documents = [([100 * i + j for j in range(n)], None) for i, n in enumerate(sizes)]
    return WholeRows(documents, length=length, epochs=epochs, seed=seed)


@given(st.lists(st.integers(2, 13), min_size=1, max_size=40))
def test_every_epoch_has_every_document_whole_and_once(sizes):
    made = rows(sizes)
    per_epoch = np.concatenate(made.rows).reshape(2, -1)

    assert [sorted(epoch) for epoch in per_epoch.tolist()] == [list(range(len(sizes)))] * 2
    assert all(sum(sizes[i] for i in row) <= 13 for row in made.rows)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_rows_keep_the_order(sizes):
    order = np.arange(len(sizes))
    assert np.concatenate(cut(order, np.array(sizes), 9)).tolist() == order.tolist()


def test_all_but_the_first_token_of_each_document_is_learned_from_what_precedes_it():
    made = rows([5, 7, 3, 9], length=12)
    one = made.take(0, len(made.rows))
    learned = one.learned[:, :-1]
    pairs = torch.stack([one.tokens[learned], one.targets[:, :-1][learned]], 1).tolist()

    firsts = [100 * i + j for i, n in enumerate([5, 7, 3, 9]) for j in range(n - 1)]
    expected = [[first, first + 1] for first in firsts]
    assert sorted(pairs) == sorted(expected * 2)


def test_a_document_as_long_as_a_row_and_one_loses_nothing():
    one = rows([13], epochs=1).take(0, 1)
    assert one.learned[0, :-1].all() and one.targets[0, 11] == 12


def test_nobody_looks_at_another_document_or_at_what_fills_a_row():
    one = rows([5, 3], epochs=1).take(0, 2)
    seen = one.seen()[0]
    first = int(one.documents[0].eq(one.documents[0, 0]).sum())
    assert not seen[first:, :first].any()
    assert one.positions[0, first] == 0


def test_rows_beyond_the_last_teach_nothing():
    one = rows([5, 3], epochs=1).take(1, 3)
    assert not one.learned.any()


def test_the_order_follows_from_the_seed_and_changes_with_the_epoch():
    sizes = [2] * 30
    a, b = rows(sizes), rows(sizes)
    assert torch.equal(a.take(0, 4).tokens, b.take(0, 4).tokens)
    epochs = np.concatenate(a.rows).reshape(2, -1)
    assert (epochs[0] != epochs[1]).any()
    assert (np.concatenate(rows(sizes, seed=1).rows)[:30] != epochs[0]).any()


def test_what_no_row_holds_is_refused_by_number():
    with pytest.raises(InputError, match="document 2 has 14 tokens and a row holds 13"):
        rows([5, 14])


def test_data_that_teaches_nothing_is_refused():
    with pytest.raises(InputError, match="nothing an assistant says"):
        WholeRows([([1, 2], [True, False])], length=8, epochs=1, seed=0)
    with pytest.raises(InputError, match="no document"):
        WholeRows([], length=8, epochs=1, seed=0)
