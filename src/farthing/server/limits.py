"""How many requests run at once, in all and for one key. Counts only."""

from collections import Counter

from farthing.errors import Busy
from farthing.server.refuse import KeyBusy, Stopping


class Limits:
    def __init__(self, most: int, most_per_key: int = 0) -> None:
        """`most` answers in flight, running or waiting; 0 for a key means no limit of its own."""
        self.most, self.most_per_key = most, most_per_key
        self.stopping = False
        self.total = 0
        self._of_key: Counter[str] = Counter()

    def take(self, key: str, answers: int) -> None:
        """Raises Busy (503), KeyBusy (429) or Stopping (503); otherwise pair with give_back."""
        if self.stopping:
            raise Stopping("the server is stopping; try another, or again in a moment")
        if self.most_per_key and self._of_key[key] + answers > self.most_per_key:
            raise KeyBusy(
                f"key {key!r} has {self._of_key[key]} answers in flight and wants {answers} more;"
                f" it may have {self.most_per_key}: wait for one to end"
            )
        if self.total + answers > self.most:
            raise Busy(
                f"{self.total} answers are in flight and {answers} more are asked for;"
                f" at most {self.most} fit: try again in a moment"
            )
        self.total += answers
        self._of_key[key] += answers

    def give_back(self, key: str, answers: int) -> None:
        self.total -= answers
        self._of_key[key] -= answers
        if not self._of_key[key]:
            del self._of_key[key]
