"""Names of full pages: equal exactly when all tokens up to the page's end are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.engine.pages import Pages
from farthing.engine.prefix import Prefix


def tokens(*values):
    return np.array(values, np.int32)


@pytest.fixture
def prefix():
    return Prefix(Pages(8))


def filled(prefix, ids):
    """A sequence of these tokens has run and left: its names and pages."""
    names = prefix.names(ids)
    pages = [prefix.take() for _ in names]
    for name, page in zip(names, pages, strict=True):
        prefix.keep(name, page)
    prefix.release(pages)
    return names, pages


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 299))
def test_names_agree_as_far_as_the_tokens_do(length, other, differs):
    prefix = Prefix(Pages(1))
    ids = np.arange(length, dtype=np.int32)
    twin = np.arange(other, dtype=np.int32)
    twin[differs:] += 1
    ours, theirs = prefix.names(ids), prefix.names(twin)
    assert len(ours) == length // 64 and len(set(ours)) == len(ours)
    same = min(length, other, differs) // 64
    assert ours[:same] == theirs[:same]
    assert not set(ours[same:]) & set(theirs[same:])


@given(st.integers(0, 10), st.integers(0, 300))
def test_names_go_on_from_those_known(known, length):
    prefix = Prefix(Pages(1))
    ids = np.arange(length, dtype=np.int32)
    names = prefix.names(ids)
    assert names[:known] + prefix.names(ids, names[:known]) == names


def test_names_cannot_be_foretold_from_outside():
    ids = np.zeros(64, np.int32)
    assert Prefix(Pages(1)).names(ids) != Prefix(Pages(1)).names(ids)


def test_the_longest_known_run_is_found(prefix):
    names, pages = filled(prefix, np.arange(200, dtype=np.int32))
    assert prefix.match(names) == pages
    assert prefix.match([*names[:2], b"unknown", names[2]]) == pages[:2]
    assert prefix.match(prefix.names(np.ones(64, np.int32))) == []


def test_the_least_recently_left_goes_first_and_the_end_of_a_chain_before_its_start(prefix):
    old, old_pages = filled(prefix, np.arange(128, dtype=np.int32))
    new, _ = filled(prefix, np.arange(7, 199, dtype=np.int32))
    prefix.hold(prefix.match(old))
    prefix.release(old_pages)
    assert (prefix.pages.spare, prefix.idle, prefix.available) == (3, 5, 8)
    found = []
    for _ in range(7):
        prefix.take()
        found.append((len(prefix.match(old)), len(prefix.match(new))))
    assert found == [(2, 3)] * 3 + [(2, 2), (2, 1), (2, 0), (1, 0)]


def test_pages_in_use_are_never_evicted(prefix):
    names, pages = filled(prefix, np.arange(128, dtype=np.int32))
    prefix.hold(pages)
    assert prefix.available == 6 and prefix.unused(pages) == 0
    others = [prefix.take() for _ in range(6)]
    assert not set(others) & set(pages) and prefix.available == 0
    assert prefix.match(names) == pages
    prefix.check([pages, others])


def test_an_equal_page_is_not_kept_twice(prefix):
    names, (page,) = filled(prefix, np.zeros(64, np.int32))
    again = prefix.take()
    prefix.keep(names[0], again)
    prefix.release([again])
    assert prefix.match(names) == [page]
    prefix.check([])


def test_nothing_is_named_or_kept_when_it_is_off():
    prefix = Prefix(Pages(2), enabled=False)
    assert prefix.names(np.zeros(640, np.int32)) == []
