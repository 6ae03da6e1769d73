"""The commands that make a published model again, each after those whose results it reads."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MADE = ("-o", "--output")


def ordered(commands: Sequence[str]) -> list[str]:
    """As they come, but for those that read what a later one makes: they wait for it."""
    left, out = list(dict.fromkeys(commands)), []
    while left:
        ready = next((c for c in left if not any(_reads(c, o) for o in left if o != c)), left[0])
        left.remove(ready)
        out.append(ready)
    return out


def again(facts: Mapping[str, Any], taught: bool, commands: Sequence[str]) -> Iterator[str]:
    """A card's part. taught: a teacher wrote some of the data."""
    if not commands:
        return
    yield "## Again\n"
    if facts.get("started"):
        yield "It began with weights of another run (--start), which these commands do not make.\n"
    else:
        yield (
            "These commands make the like of it: a teacher's answers are kept as they come.\n"
            if taught
            else "These commands rebuild it; on the same machine and threads, to the bit.\n"
        )
    yield "```sh"
    yield from commands
    yield "```\n"


def has_teacher(source: Mapping[str, Any]) -> bool:
    """A data set's card, or one's that it was made from, names a teacher."""
    card = source.get("card") or {}
    return bool(card.get("teacher")) or any(map(has_teacher, card.get("parents", ())))


def _reads(command: str, other: str) -> bool:
    """Whether what `other` makes is among the words of `command`."""
    words = shlex.split(other)
    made = {words[at + 1] for at, word in enumerate(words[:-1]) if word in MADE}
    return bool(made & set(shlex.split(command)))
