"""A plan as the runner's arrays. One row for each slot outlives the steps; a step gathers its rows.

Knows nothing of who should run.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.engine.adjust import Entries
from farthing.engine.scheduler import Plan
from farthing.engine.sequence import Sequence
from farthing.engine.types import RowSampling, Step

SEED = (1 << 64) - 1
NOTHING = Entries(
    np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.uint8)
)


class Batch:
    def __init__(self, *, slots: int, table: int, max_step_tokens: int) -> None:
        """`table` is the most pages a sequence can have."""
        self._tables = np.full((slots, table), -1, np.int32)
        self._used = np.zeros(slots, np.int32)
        self._temperature = np.zeros(slots, np.float32)
        self._top_k = np.zeros(slots, np.int32)
        self._top_p = np.zeros(slots, np.float32)
        self._min_p = np.zeros(slots, np.float32)
        self._repetition = np.zeros(slots, np.float32)
        self._presence = np.zeros(slots, np.float32)
        self._frequency = np.zeros(slots, np.float32)
        self._seed = np.zeros(slots, np.uint64)
        self._choice = np.zeros(slots, np.uint32)
        self._logprobs = np.zeros(slots, np.int32)
        # Reused by every step: what `step` returns is good until it is called again.
        self._tokens = np.zeros(max_step_tokens, np.int32)
        self._last: _Gathered | None = None

    def step(self, plan: Plan) -> tuple[Step, list[Sequence]]:
        """The arrays of this plan, and the sequences whose next token they ask for, row by row."""
        for sequence in plan.entered:
            self._enter(sequence)
        fresh = self._grow(plan.grown)
        sequences = plan.sequences
        gathered = self._gather(plan)
        positions = np.array([s.computed for s in sequences], np.int32)
        after, asking = positions + 1, sequences
        if (wanted := gathered.wanted) is not None:
            after = (positions + np.array(plan.lengths, np.int32))[wanted]
            asking = [sequences[i] for i in wanted.tolist()]
        sampling = gathered.sampling
        sampling.position = after
        if any(s.adjust for s in asking):
            _adjust(sampling, [s.adjust.entries() if s.adjust else NOTHING for s in asking])
        step = Step(
            tokens=self._next_tokens(plan, int(gathered.starts[-1])),
            starts=gathered.starts,
            positions=positions,
            tables=gathered.tables,
            fresh=fresh,
            rows=gathered.rows,
            sampling=sampling,
        )
        return step, asking

    def _gather(self, plan: Plan) -> "_Gathered":
        """The rows of these slots. From one step of decoding to the next they rarely change, and
        each small array costs microseconds when its code has left the processor's cache."""
        slots = [s.slot for s in plan.sequences]
        last = self._last
        # Who enters counts as prefill, so these are the sequences that `last` was made for.
        if last and slots == last.slots and len(slots) == plan.decoding:
            if plan.grown:
                last.tables = self._tables_of(np.array(slots, np.int32))
            return last
        index = np.array(slots, np.int32)
        starts = np.zeros(len(slots) + 1, np.int32)
        np.cumsum(plan.lengths, out=starts[1:])
        rows, wanted, asking = starts[1:] - 1, None, index
        if len(slots) > plan.decoding:
            ends = [
                s.computed + n == s.length
                for s, n in zip(plan.sequences, plan.lengths, strict=True)
            ]
            wanted = np.flatnonzero(ends)
            rows, asking = rows[wanted], index[wanted]
        gathered = _Gathered(
            slots, starts, rows, wanted, self._tables_of(index), self._sampling(asking)
        )
        self._last = gathered if wanted is None else None
        return gathered

    def _tables_of(self, slots: NDArray[np.int32]) -> NDArray[np.int32]:
        return self._tables[slots, : int(self._used[slots].max())]

    def _enter(self, sequence: Sequence) -> None:
        slot, sampling = sequence.slot, sequence.request.sampling
        self._tables[slot] = -1
        self._tables[slot, : len(sequence.pages)] = sequence.pages
        self._used[slot] = len(sequence.pages)
        self._temperature[slot] = sampling.temperature
        self._top_k[slot] = min(sampling.top_k, 0x7FFFFFFF)
        self._top_p[slot] = sampling.top_p
        self._min_p[slot] = sampling.min_p
        self._repetition[slot] = sampling.repetition_penalty
        self._presence[slot] = sampling.presence_penalty
        self._frequency[slot] = sampling.frequency_penalty
        self._seed[slot] = sampling.seed & SEED
        self._choice[slot] = sampling.choice
        self._logprobs[slot] = -1 if sampling.logprobs is None else sampling.logprobs

    def _grow(self, grown: list[tuple[int, int, int]]) -> NDArray[np.int32]:
        for slot, place, page in grown:
            self._tables[slot, place] = page
            self._used[slot] = place + 1
        return np.array([page for _, _, page in grown], np.int32)

    def _next_tokens(self, plan: Plan, total: int) -> NDArray[np.int32]:
        tokens, at = self._tokens[:total], plan.decoding
        tokens[:at] = [s.last for s in plan.sequences[:at]]
        for sequence, length in zip(plan.sequences[at:], plan.lengths[at:], strict=True):
            here = sequence.computed
            tokens[at : at + length] = sequence.tokens[here : here + length]
            at += length
        return tokens

    def _sampling(self, slots: NDArray[np.int32]) -> RowSampling:
        """Of these slots' rows, without the positions and without adjustments."""
        return RowSampling(
            temperature=self._temperature[slots],
            top_k=self._top_k[slots],
            top_p=self._top_p[slots],
            min_p=self._min_p[slots],
            repetition=self._repetition[slots],
            presence=self._presence[slots],
            frequency=self._frequency[slots],
            seed=self._seed[slots],
            choice=self._choice[slots],
            position=slots,
            logprobs=self._logprobs[slots],
            first=np.zeros(len(slots) + 1, np.int32),
            ids=NOTHING.ids,
            bias=NOTHING.bias,
            counts=NOTHING.counts,
            seen=NOTHING.seen,
        )


def _adjust(sampling: RowSampling, rows: list[Entries]) -> None:
    np.cumsum([len(entries.ids) for entries in rows], out=sampling.first[1:])
    sampling.ids = np.concatenate([entries.ids for entries in rows])
    sampling.bias = np.concatenate([entries.bias for entries in rows])
    sampling.counts = np.concatenate([entries.counts for entries in rows])
    sampling.seen = np.concatenate([entries.seen for entries in rows])


@dataclass(slots=True)
class _Gathered:
    """What depends on who runs, and not on how far they are."""

    slots: list[int]
    starts: NDArray[np.int32]
    rows: NDArray[np.int32]
    wanted: NDArray[np.intp] | None
    """Which segments end a prompt, and so ask for a token; None: all."""
    tables: NDArray[np.int32]
    sampling: RowSampling
