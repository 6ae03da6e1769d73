"""The pool counts users, and says so when the count is wrong."""

import pytest

from farthing.engine.pages import Pages, pages_for


def test_the_warmest_page_is_taken_first_and_untouched_ones_last():
    pages = Pages(10)
    assert [pages.take() for _ in range(3)] == [0, 1, 2]
    pages.give_back(1)
    pages.give_back(0)
    assert [pages.take() for _ in range(3)] == [0, 1, 3]
    assert pages.spare == 6


def test_a_shared_page_is_free_when_its_last_user_leaves():
    pages = Pages(1)
    page = pages.take()
    pages.share(page)
    assert (pages.give_back(page), pages.spare) == (1, 0)
    assert (pages.give_back(page), pages.spare) == (0, 1)


def test_mistakes_crash_at_once():
    pages = Pages(2)
    page = pages.take()
    pages.give_back(page)
    with pytest.raises(AssertionError, match="twice"):
        pages.give_back(page)
    with pytest.raises(AssertionError, match="nobody can share"):
        pages.share(page)
    pages.take(), pages.take()
    with pytest.raises(AssertionError, match="not free"):
        pages.take()


def test_check_names_the_page_that_leaked():
    pages = Pages(3)
    pages.take(), pages.take()
    pages.check({0: 1, 1: 1})
    with pytest.raises(AssertionError, match="page 1 counts 1 users and has 0"):
        pages.check({0: 1})
    with pytest.raises(AssertionError, match="page 2 counts 0 users and has 1"):
        pages.check({0: 1, 1: 1, 2: 1})


@pytest.mark.parametrize(("tokens", "pages"), [(0, 0), (1, 1), (64, 1), (65, 2), (128, 2)])
def test_tokens_need_whole_pages(tokens, pages):
    assert pages_for(tokens) == pages
