"""A plan as the runner's arrays. One row for each slot outlives the steps; a step gathers its rows.

Knows nothing of who should run.
"""

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

    def step(self, plan: Plan) -> tuple[Step, list[Sequence]]:
        """The arrays of this plan, and the sequences whose next token they ask for, row by row."""
        for sequence in plan.entered:
            self._enter(sequence)
        fresh = self._grow(plan.grown)
        sequences = plan.sequences
        slots = np.array([s.slot for s in sequences], np.int32)
        positions = np.array([s.computed for s in sequences], np.int32)
        starts = np.zeros(len(sequences) + 1, np.int32)
        np.cumsum(plan.lengths, out=starts[1:])
        asking, rows, after = sequences, starts[1:] - 1, positions + 1
        row_slots = slots
        if len(sequences) > plan.decoding:
            after = positions + np.array(plan.lengths, np.int32)
            wanted = after == np.array([s.length for s in sequences], np.int32)
            rows, after, row_slots = rows[wanted], after[wanted], slots[wanted]
            asking = [s for s, asks in zip(sequences, wanted.tolist(), strict=True) if asks]
        step = Step(
            tokens=self._gather(plan, int(starts[-1])),
            starts=starts,
            positions=positions,
            tables=self._tables[slots, : int(self._used[slots].max())],
            fresh=fresh,
            rows=rows,
            sampling=self._sampling(row_slots, after, asking),
        )
        return step, asking

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

    def _gather(self, plan: Plan, total: int) -> NDArray[np.int32]:
        tokens, at = self._tokens[:total], plan.decoding
        tokens[:at] = [s.last for s in plan.sequences[:at]]
        for sequence, length in zip(plan.sequences[at:], plan.lengths[at:], strict=True):
            here = sequence.computed
            tokens[at : at + length] = sequence.tokens[here : here + length]
            at += length
        return tokens

    def _sampling(
        self, slots: NDArray[np.int32], after: NDArray[np.int32], asking: list[Sequence]
    ) -> RowSampling:
        first = np.zeros(len(asking) + 1, np.int32)
        found = [s.adjust.entries() if s.adjust else NOTHING for s in asking]
        entries = NOTHING
        if any(s.adjust for s in asking):
            np.cumsum([len(e.ids) for e in found], out=first[1:])
            entries = Entries(*map(np.concatenate, zip(*found, strict=True)))
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
            position=after,
            logprobs=self._logprobs[slots],
            first=first,
            ids=entries.ids,
            bias=entries.bias,
            counts=entries.counts,
            seen=entries.seen,
        )
