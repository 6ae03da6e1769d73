"""A model quantized section by section: what is finished stays, and memory stays bounded."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import __version__
from farthing.quantize import check, experts, fold
from farthing.quantize.desk import Desk
from farthing.quantize.result import Quantized
from farthing.quantize.sections import Plan, Section, plan_of, standins
from farthing.quantize.source import Source
from farthing.quantize.stream import Chunk, Rows, chunks_of
from farthing.quantize.types import Choice, Choices
from farthing.quantize.walk import Walk, embed, settle_without_data
from farthing.quantize.work import Work, Writer

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
    place = Work(work, key_of(source, samples, chosen))
    if not place.done:
        told(Progress(0, len(plan.sections), "reading every weight once"))
        check.finite(source)
    made = {name for number in range(place.done) for name in place.index(number).tensors}
    run = _Run(source, plan, chosen, samples if last >= 0 else [], last, place, told, made)
    for number in range(place.done, len(plan.sections)):
        with place.write(number) as writer:
            run.section(number, writer)
        run.made |= set(writer.index.tensors)
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
    made: set[str]
    """Quantized in an earlier section: a tied head."""

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
        walk = Walk(section, desk, chunks, self._known(number, section, chunks))
        if number == 0:
            embed(walk, section.notes[0], np.concatenate(self.samples))
        else:
            fold.fold(walk)
        settle_without_data(section, desk, ("experts",))
        walk.calibrate(experts.settle)
        if number < self.last:
            walk.write(Rows.zeros(writer.stream, chunks[-1].stop, section.out.width))

    def _known(self, number: int, section: Section, chunks: list[Chunk]) -> dict[Any, Rows]:
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
