"""Experts that lie in a GGUF file one by one, as stacks: Mixtral's files of before April 2024."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from farthing.errors import FormatError
from farthing.formats.gguf_file import Entry
from farthing.formats.types import Shape


@dataclass(frozen=True, slots=True)
class Found:
    """A tensor by the name llama.cpp has for it today; one source, or one for each expert."""

    name: str
    shape: Shape
    sources: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{self.sources[0][:80]!r}" + (" and its like" if len(self.sources) > 1 else "")


def gather(where: str, entries: Mapping[str, Entry]) -> Iterator[Found]:
    """Every tensor; of experts one by one, one for all. FormatError if they differ or one lacks."""
    experts: dict[str, dict[int, str]] = {}
    for name, entry in entries.items():
        one = re.fullmatch(r"(blk\.\d{1,5}\.ffn_(?:gate|up|down))\.(\d{1,5})\.weight", name)
        if one:
            experts.setdefault(f"{one[1]}_exps.weight", {})[int(one[2])] = name
        else:
            yield Found(name, entry.shape, (name,))
    for name, numbered in experts.items():
        sources = tuple(numbered[number] for number in sorted(numbered))
        if sorted(numbered) != list(range(len(numbered))):
            raise FormatError(
                f"{where}: experts {sorted(numbered)[:80]} of {sources[0]} and its like;"
                f" 0 to {len(numbered) - 1} expected"
            )
        first = entries[sources[0]]
        for source in sources:
            if (entries[source].shape, entries[source].block) != (first.shape, first.block):
                raise FormatError(
                    f"{where}: {source} is {list(entries[source].shape)} in"
                    f" {entries[source].block.name}, and {sources[0]} {list(first.shape)} in"
                    f" {first.block.name}; experts of one layer must be alike"
                )
        yield Found(name, (len(sources), *first.shape), sources)
