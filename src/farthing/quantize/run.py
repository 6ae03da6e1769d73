"""A model quantized section by section: what is finished stays, and memory stays bounded."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import __version__
from farthing.formats.packed_header import size_of
from farthing.formats.types import Layout
from farthing.quantize import check, exact, experts, fold
from farthing.quantize.desk import Desk
from farthing.quantize.result import Quantized
from farthing.quantize.sections import Plan, Section, plan_of, standins
from farthing.quantize.source import Source
from farthing.quantize.stream import AnyRows, Chunk, Rows, Scratch, chunks_of
from farthing.quantize.types import Choice, Choices
from farthing.quantize.walk import Walk, embed, settle_without_data
from farthing.quantize.work import Work, Writer
from farthing.store.space import need

Samples = list[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Section `section` of `sections` is in hand, and in it `what`: a tensor's name."""

    section: int
    sections: int
    what: str


def quantize(
    source: Source,
    samples: Samples,
    choices: Choices,
    work: Path,
    told: Callable[[Progress], None],
) -> Quantized:
    """The model as chosen, its tensors in `work`. Called again after an interruption, it goes on.

    Raises InputError and FormatError, before anything is done, for choices, samples and weights
    that can't come to good, and for a folder `work` that holds anything else.
    """
    plan = plan_of(source.config, source.names())
    chosen = check.chosen(source, plan, choices)
    last, asks = last_calibrated(plan, chosen)
    check.samples(samples, plan, asks)
    with closing(Work(work, key_of(source, samples, chosen))) as place:
        _Run(source, plan, chosen, samples if last >= 0 else [], last, place, told).finish()
        return Quantized.of(source, place)


@dataclass
class _Run:
    source: Source
    plan: Plan
    chosen: Mapping[str, Choice]
    samples: Samples
    last: int
    """The last section that asks for samples; after it nothing is played. -1: none does."""
    place: Work
    told: Callable[[Progress], None]
    made: set[str] = field(default_factory=set)
    """Quantized in an earlier section: a tied head."""
    scratch: Scratch = field(default_factory=Scratch)

    def finish(self) -> None:
        for number in range(self.place.done):
            self.made |= set(self.place.index(number).tensors)
        if not self.place.done:
            self.told(Progress(0, len(self.plan.sections), "reading every weight once"))
            check.finite(self.source)
            need(self.place.folder, self.room(), "what is made of the model, section by section,")
        for number in range(self.place.done, len(self.plan.sections)):
            with self.place.write(number) as writer:
                self.section(number, writer)
            self.made |= set(writer.index.tensors)

    def room(self) -> int:
        """Bytes on the disk, at most: the tensors, two streams, what passes leave to others; and
        for some tokens again."""
        changed = {name: c.form for name, c in self.chosen.items() if c.form is not None}
        layouts = [Layout(self.source.layout(name).shape, form) for name, form in changed.items()]
        tokens = sum(map(len, self.samples))
        tokens += min(tokens, max(exact.TOKENS, *map(len, self.samples), 0))
        return sum(map(size_of, layouts)) + 4 * tokens * max(
            2 * section.source.width + sum(note.out.width for note in section.notes)
            for section in self.plan.sections[:-1]
        )

    def section(self, number: int, writer: Writer) -> None:
        section, sections = self.plan.sections[number], len(self.plan.sections)
        desk = Desk(
            self.source,
            self.chosen,
            writer,
            lambda what: self.told(Progress(number, sections, what)),
        )
        desk.settled |= self.made
        if number > self.last:
            settle_without_data(section, desk, ())
            return
        chunks = chunks_of(self.samples, section.width)
        walk = Walk(section, desk, chunks, self._known(number, section, chunks), self.scratch)
        if number == 0:
            embed(walk, section.notes[0], np.concatenate(self.samples))
        else:
            fold.fold(walk)
            self._beside(number, walk)
        settle_without_data(section, desk, ("experts",))
        walk.calibrate(experts.settle)
        if number < self.last:
            walk.write(Rows.zeros(writer.stream, chunks[-1].stop, section.out.width))

    def _beside(self, number: int, walk: Walk) -> None:
        """The walk learns what its inputs were. The embedding, hardly rounded, counts as exact."""
        if not exact.wanted(self.plan, self.chosen) or walk.section is self.plan.sections[-1]:
            return
        section, writer = walk.section, walk.desk.writer
        chunks = chunks_of(exact.some(self.samples), section.width)
        before = self.place.stream(0) if number == 1 else self.place.exact(number - 1)
        start = Rows(before, chunks[-1].stop, section.source.width)
        walk.exact = exact.play(
            section, self.source, chunks, start, writer.exact, self.scratch, walk.finite
        )

    def _known(self, number: int, section: Section, chunks: list[Chunk]) -> dict[Any, AnyRows]:
        if number == 0:
            return {}
        width = section.source.width
        return {section.source: Rows(self.place.stream(number - 1), chunks[-1].stop, width)}


def last_calibrated(plan: Plan, chosen: Mapping[str, Choice]) -> tuple[int, str | None]:
    """The last section with a tensor whose method asks for samples, and that tensor's name."""
    for number in range(len(plan.sections) - 1, -1, -1):
        for note in plan.sections[number].notes:
            for one in standins(note):
                if chosen[one.name].method in check.CALIBRATED:
                    return number, one.name
    return -1, None


def key_of(source: Source, samples: Samples, chosen: Mapping[str, Choice]) -> str:
    """A hash of all that what comes out depends on."""
    texts = hashlib.sha256()
    for sample in samples:
        texts.update(len(sample).to_bytes(8, "little"))
        texts.update(np.ascontiguousarray(sample, "<i4").tobytes())
    choices = {name: asdict(choice) for name, choice in chosen.items()}
    parts = [__version__, source.sha256, texts.hexdigest(), choices]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
