"""Who runs in the next step: waiting, running, preempted. Knows nothing of arrays or time."""

from bisect import insort
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter

from farthing.engine.pages import PAGE, pages_for
from farthing.engine.prefix import Prefix
from farthing.engine.sequence import Sequence

ARRIVAL = attrgetter("arrival")


@dataclass(slots=True)
class Plan:
    """One step: `lengths[i]` next tokens of `sequences[i]`, those that decode first."""

    sequences: list[Sequence] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    decoding: int = 0
    entered: list[Sequence] = field(default_factory=list)
    """They run since this step; their slots hold what others left there."""
    grown: list[tuple[int, int, int]] = field(default_factory=list)
    """Pages newly taken: (slot, place in its table, page)."""

    def add(self, sequence: Sequence, length: int) -> None:
        self.sequences.append(sequence)
        self.lengths.append(length)


class Scheduler:
    """Earlier arrivals go first, in everything: budget, admission, and pages when they run out.

    So the earliest always moves on, and since any sequence alone fits the pool, all finish.
    `max_sequences` is at most `max_step_tokens`: each sequence that runs gets at least one token.
    """

    def __init__(self, prefix: Prefix, *, max_step_tokens: int, max_sequences: int) -> None:
        self.prefix = prefix
        self.max_step_tokens = max_step_tokens
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        self.preemptions = 0
        self._slots = list(range(min(max_sequences, max_step_tokens)))[::-1]
        # Pages that a running sequence is going to fill, by name, and how many will.
        self._promised: Counter[bytes] = Counter()

    def add(self, sequence: Sequence) -> None:
        sequence.names += self.prefix.names(sequence.known, sequence.names)
        insort(self.waiting, sequence, key=ARRIVAL)

    def drop(self, sequence: Sequence) -> None:
        """It is finished or cancelled: its pages are free at once."""
        if sequence.slot < 0:
            self.waiting.remove(sequence)
        else:
            self._leave(sequence)

    def plan(self) -> Plan:
        decode, prefill = Plan(), Plan()
        budget = self.max_step_tokens - len(self.running)
        before = self.preemptions
        # In order of arrival. Preempting shortens the list from its end, never before this place.
        for sequence in self.running:
            length = self._share(sequence, budget + 1)
            budget -= length - 1
            last = sequence.computed + 1 == sequence.length
            if self._grow(sequence, length, decode):
                (decode if last else prefill).add(sequence, length)
        decode.decoding = len(decode.sequences)
        if self.waiting and self.preemptions == before:
            self._admit(prefill, decode, budget)
        decode.sequences += prefill.sequences
        decode.lengths += prefill.lengths
        return decode

    def computed(self, sequence: Sequence, length: int) -> None:
        """The step that gave it `length` tokens has run."""
        before = sequence.computed // PAGE
        sequence.computed += length
        after = sequence.computed // PAGE
        if after > before and self.prefix.enabled:
            self._fill(sequence, before, after)

    def check(self) -> None:
        self.prefix.check(sequence.pages for sequence in self.running)
        assert not any(sequence.pages for sequence in self.waiting), "who waits holds no pages"
        slots = self._slots + [sequence.slot for sequence in self.running]
        assert len(set(slots)) == len(slots), "two sequences share a slot"
        promised = Counter(name for sequence in self.running for name in _promised(sequence))
        assert promised == self._promised, "a promise nobody keeps, or one nobody knows"
        for sequence in self.running:
            assert sequence.computed < sequence.length <= sequence.most
            assert pages_for(sequence.computed) <= len(sequence.pages)

    def _admit(self, prefill: Plan, plan: Plan, budget: int) -> None:
        owed = sum(pages_for(s.length) - len(s.pages) for s in self.running)
        for sequence in self.waiting[:]:
            if budget < 1 or not self._slots:
                return
            names = sequence.names[: sequence.reusable]
            found = self.prefix.match(names)
            if len(found) < len(names) and names[len(found)] in self._promised:
                continue  # another is computing its next page: soon it need not
            need = pages_for(sequence.length) - len(found)
            # A page for each of the others to grow on, or the newcomer would soon be thrown out.
            room = self.prefix.available - self.prefix.unused(found) - owed - len(self.running)
            if need > room:
                return
            fits = sequence.length - len(found) * PAGE <= budget
            if prefill.sequences and budget < PAGE and not fits:
                return  # a crumb would bring its answer no nearer
            self._enter(sequence, found)
            plan.entered.append(sequence)
            length = self._share(sequence, budget)
            budget -= length
            self._grow(sequence, length, plan)
            owed += pages_for(sequence.length) - len(sequence.pages)
            prefill.add(sequence, length)

    def _share(self, sequence: Sequence, budget: int) -> int:
        """How many tokens to compute next. A long prompt leaves up to half to short ones behind."""
        if sequence.length - sequence.computed <= budget:
            return sequence.length - sequence.computed
        half, wanted = budget // 2, 0
        for other in chain(self.running, self.waiting if self._slots else ()):
            left = other.length - other.computed
            if other.arrival > sequence.arrival and 1 < left <= half:
                wanted += left
                if wanted >= half:
                    break
        return chunk(sequence, budget - min(wanted, half))

    def _enter(self, sequence: Sequence, found: list[int]) -> None:
        self.waiting.remove(sequence)
        insort(self.running, sequence, key=ARRIVAL)
        self.prefix.hold(found)
        sequence.pages = found
        sequence.computed = len(found) * PAGE
        sequence.slot = self._slots.pop()
        sequence.promises = len(sequence.names)
        self._promised.update(_promised(sequence))
        if not sequence.started:
            sequence.cached = sequence.computed

    def _grow(self, sequence: Sequence, length: int, plan: Plan) -> bool:
        """Takes the pages for its next tokens, from later arrivals if need be.

        False if there is none later left: then it was preempted itself.
        """
        have = len(sequence.pages)
        need = pages_for(sequence.computed + length) - have
        if need <= 0:
            return True
        while need > self.prefix.available:
            latest = self.running[-1]
            self._preempt(latest)
            if latest is sequence:
                return False
        for place in range(have, have + need):
            page = self.prefix.take()
            sequence.pages.append(page)
            plan.grown.append((sequence.slot, place, page))
        return True

    def _preempt(self, sequence: Sequence) -> None:
        """It keeps its tokens and gives its pages back; full ones it may find again."""
        self.preemptions += 1
        self._leave(sequence)
        self.add(sequence)

    def _leave(self, sequence: Sequence) -> None:
        self._unpromise(_promised(sequence))
        self.running.remove(sequence)
        self._slots.append(sequence.slot)
        self.prefix.release(sequence.pages)
        sequence.slot, sequence.pages, sequence.computed, sequence.promises = -1, [], 0, 0

    def _fill(self, sequence: Sequence, before: int, after: int) -> None:
        names = sequence.names
        if after > len(names):
            names += self.prefix.names(sequence.tokens[: after * PAGE], names)
        for place in range(before, after):
            self.prefix.keep(names[place], sequence.pages[place])
        self._unpromise(names[before : min(after, sequence.promises)])

    def _unpromise(self, names: list[bytes]) -> None:
        for name in names:
            self._promised[name] -= 1
            if not self._promised[name]:
                del self._promised[name]


def chunk(sequence: Sequence, budget: int) -> int:
    """As many of its tokens as end with a page, if any do; its rest is more than the budget."""
    end = (sequence.computed + budget) // PAGE * PAGE
    return end - sequence.computed if end > sequence.computed else budget


def _promised(sequence: Sequence) -> list[bytes]:
    return sequence.names[sequence.computed // PAGE : sequence.promises]
