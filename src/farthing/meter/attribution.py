"""Who is charged for which nanosecond: dividing a step, and the clock of the engine's loop.

Knows nothing of requests, tokens or money.
"""

import time
from collections.abc import Callable, Iterable

import msgspec

FINE = 1 << 53
"""Float weights become whole numbers on this scale: a double holds no more."""


def split(nanoseconds: int, weights: Iterable[float]) -> list[int]:
    """Divide a whole number in proportion to the weights; the parts sum to it exactly.

    Largest remainder: each part is the exact share rounded down, and what is left goes one by one
    to the largest remainders, ties to the lowest index. Weights are finite, none negative; all
    zero means equal parts. Whole weights are used as they are, floats to 53 bits.
    """
    units = _whole(list(weights))
    assert nanoseconds >= 0 and (units or nanoseconds == 0), "time needs somebody to charge"
    total = sum(units)
    shares = [divmod(nanoseconds * unit, total) for unit in units]
    parts = [part for part, _ in shares]
    if left := nanoseconds - sum(parts):
        rests = [rest for _, rest in shares]
        # The sort is stable even when reversed: of equal remainders the lowest index stays first.
        for i in sorted(range(len(rests)), key=rests.__getitem__, reverse=True)[:left]:
            parts[i] += 1
    return parts


def _whole(weights: list[float]) -> list[int]:
    if not weights:
        return []
    total, top = sum(weights), max(weights)
    # A weight that is no number makes their sum none, wherever it stands.
    if not (min(weights) >= 0 and total < float("inf")):
        raise ValueError(f"weights {weights}: each must be finite and none negative")
    if not total:
        return [1] * len(weights)
    if isinstance(total, int):
        return [int(weight) for weight in weights]
    return [int(weight / top * FINE) for weight in weights]


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """Nanoseconds since the clock began. `load` is apart from the loop's own time."""

    busy: int = 0
    idle: int = 0
    load: int = 0

    def since(self, earlier: "Reading") -> "Reading":
        return Reading(self.busy - earlier.busy, self.idle - earlier.idle, self.load - earlier.load)


class Clock:
    """Where the time of the engine's loop goes: steps, waiting, loading.

    The loop calls, in any order that makes sense:

        clock.begin_wait(); wait for a message; clock.end_wait()
        schedule; runner.run(step); nanoseconds = clock.step_done()

    A step's nanoseconds hold all Python since the step before it, less the waits between. `wall`
    is read by itself, at the start and in `check`, so a lost or doubled stretch shows as a gap.
    """

    def __init__(
        self,
        now: Callable[[], int] = time.perf_counter_ns,
        wall: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._now, self._wall = now, wall
        self._busy = self._idle = self._load = 0
        self._pending = 0
        self._waiting_since: int | None = None
        self._began = wall()
        self._mark = now()

    def loading(self, nanoseconds: int) -> None:
        """Charge time spent loading before the loop (and this clock) began."""
        assert nanoseconds >= 0
        self._load += nanoseconds

    def begin_wait(self) -> None:
        assert self._waiting_since is None, "already waiting"
        self._waiting_since = self._now()
        self._pending += self._waiting_since - self._mark

    def end_wait(self) -> int:
        """The nanoseconds just waited."""
        assert self._waiting_since is not None, "was not waiting"
        self._mark = self._now()
        waited = self._mark - self._waiting_since
        self._waiting_since = None
        self._idle += waited
        return waited

    def step_done(self) -> int:
        """The nanoseconds of the step that just ended, with the Python that led to it."""
        assert self._waiting_since is None, "a step cannot end in a wait"
        now = self._now()
        step = self._pending + now - self._mark
        self._pending, self._mark = 0, now
        self._busy += step
        return step

    @property
    def pending(self) -> int:
        """Python that no step has taken yet: the next step will."""
        if self._waiting_since is not None:
            return self._pending
        return self._pending + self._now() - self._mark

    def read(self) -> Reading:
        """The accounts so far; a wait that still lasts counts as idle."""
        idle = self._idle
        if self._waiting_since is not None:
            idle += self._now() - self._waiting_since
        return Reading(self._busy, idle, self._load)

    def check(self) -> int:
        """Wall time of the loop less all that was accounted: zero when the meter closes.

        The two clocks are read one after the other, so microseconds are to be expected.
        """
        reading, pending = self.read(), self.pending
        return self._wall() - self._began - reading.busy - reading.idle - pending
