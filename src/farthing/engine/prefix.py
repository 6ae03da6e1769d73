"""Full pages that may be read again: a chain of hashes names each by all tokens up to its end.

Two sequences that begin alike have the same names, so they find the same pages. Knows nothing of
who is running.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from farthing.engine.pages import PAGE, Pages


class Prefix:
    """Keeps full pages after their users have left. The least recently left goes first."""

    def __init__(self, pages: Pages, *, enabled: bool = True) -> None:
        self.pages = pages
        self.enabled = enabled
        # Keyed, so that nobody can prepare two prompts with one name.
        self._secret = secrets.token_bytes(32)
        self._page_of: dict[bytes, int] = {}
        self._name_of: dict[int, bytes] = {}
        # Pages that only the cache still uses, in the order in which they were left.
        self._idle: dict[int, None] = {}

    @property
    def available(self) -> int:
        """Pages that `take` can give, evicting if it must."""
        return self.pages.spare + len(self._idle)

    @property
    def idle(self) -> int:
        return len(self._idle)

    def names(self, tokens: NDArray[np.int32], parents: Sequence[bytes] = ()) -> list[bytes]:
        """The names of all full pages of `tokens` that come after those of `parents`."""
        if not self.enabled:
            return []
        names: list[bytes] = []
        name = parents[-1] if parents else b""
        for start in range(len(parents) * PAGE, len(tokens) - PAGE + 1, PAGE):
            page = tokens[start : start + PAGE].tobytes()
            name = blake2b(name + page, digest_size=16, key=self._secret).digest()
            names.append(name)
        return names

    def match(self, names: Iterable[bytes]) -> list[int]:
        """The pages of the longest run of names that is known, from the first on."""
        pages: list[int] = []
        for name in names:
            if (page := self._page_of.get(name)) is None:
                break
            pages.append(page)
        return pages

    def unused(self, pages: Iterable[int]) -> int:
        """How many of these matched pages nobody runs on: holding them makes fewer available."""
        return sum(1 for page in pages if page in self._idle)

    def hold(self, pages: Iterable[int]) -> None:
        """Start to use pages that `match` gave."""
        for page in pages:
            self._idle.pop(page, None)
            self.pages.share(page)

    def take(self) -> int:
        """A page to write on."""
        if not self.pages.spare:
            self._evict()
        return self.pages.take()

    def keep(self, name: bytes, page: int) -> None:
        """Remember a page, now full, that a sequence is using. An equal page keeps its place."""
        if name not in self._page_of:
            self.pages.share(page)
            self._page_of[name] = page
            self._name_of[page] = name

    def release(self, pages: Sequence[int]) -> None:
        """Stop using a sequence's pages, given from the first on.

        The last is left first: a page is of no use without all those before it.
        """
        for page in reversed(pages):
            if self.pages.give_back(page) == 1 and page in self._name_of:
                self._idle[page] = None

    def check(self, tables: Iterable[Iterable[int]]) -> None:
        """Asserts that pages are used by the cache and by these tables, and by nobody else."""
        users = Counter(page for table in tables for page in table)
        idle = {page for page in self._name_of if page not in users}
        assert idle == set(self._idle), f"idle pages {sorted(idle ^ set(self._idle))} are mislaid"
        users.update(self._name_of.keys())
        self.pages.check(users)

    def _evict(self) -> None:
        page = next(iter(self._idle))
        del self._idle[page]
        del self._page_of[self._name_of.pop(page)]
        self.pages.give_back(page)
