"""Lines a person types, with the history of earlier ones; or the lines of a pipe."""

import readline
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

from farthing.config import home

KEPT = 1000


class Lines:
    """Iterate to read. ^C drops the line being typed, ^D ends. The history stays in the home."""

    def __init__(self, prompt: str) -> None:
        self._typed = sys.stdin.isatty()
        self._prompt = prompt if self._typed else ""
        self._history = home() / "chat_history"

    def __enter__(self) -> "Lines":
        if self._typed:
            with suppress(OSError):  # a history that is absent or unreadable is an empty one
                readline.read_history_file(self._history)
        return self

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                yield input(self._prompt)
            except KeyboardInterrupt:
                if not self._typed:
                    raise
                print(file=sys.stderr)
            except EOFError:
                return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._typed:
            readline.set_history_length(KEPT)
            self._history.parent.mkdir(parents=True, exist_ok=True)
            self._history.touch(mode=0o600)
            readline.write_history_file(self._history)
