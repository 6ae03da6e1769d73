"""The pool of pages of 64 tokens, counted by users. Knows nothing of what is written on a page."""

from collections.abc import Mapping

PAGE = 64
"""Tokens of a page."""


class Pages:
    """Pages 0..total-1. A page without users is free. The prefix cache is a user too."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.users = [0] * total
        self._free: list[int] = []
        # Memory never asked for is never touched, so the system never has to provide it.
        self._untouched = 0

    @property
    def spare(self) -> int:
        """Pages that `take` can still give."""
        return len(self._free) + self.total - self._untouched

    def take(self) -> int:
        """A page with one user. What it holds is old: the runner zeroes it."""
        if self._free:
            page = self._free.pop()  # the last given back is the warmest
        else:
            page, self._untouched = self._untouched, self._untouched + 1
        assert page < self.total and not self.users[page], f"page {page} is not free"
        self.users[page] = 1
        return page

    def share(self, page: int) -> None:
        assert self.users[page], f"page {page} is free, so nobody can share it"
        self.users[page] += 1

    def give_back(self, page: int) -> int:
        """One user less. Returns how many are left."""
        assert self.users[page], f"page {page} is given back twice"
        self.users[page] = left = self.users[page] - 1
        if not left:
            self._free.append(page)
        return left

    def check(self, users: Mapping[int, int]) -> None:
        """Asserts that exactly these users hold pages, and that all others are free."""
        for page, count in enumerate(self.users):
            want = users.get(page, 0)
            assert count == want, f"page {page} counts {count} users and has {want}"
        free = set(self._free)
        assert len(free) == len(self._free), "a page is free twice"
        assert all(self.users[page] == 0 for page in free), "a free page has users"
        held = sum(1 for count in self.users if count)
        assert held + self.spare == self.total, f"{self.total - held - self.spare} pages leaked"


def pages_for(tokens: int) -> int:
    return -(-tokens // PAGE)
