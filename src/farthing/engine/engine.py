"""submit() and step(): the loop, and only the loop. Knows token ids, nothing of text or money."""

from itertools import count
from time import perf_counter_ns

from farthing.config import EngineConfig
from farthing.engine.batch import Batch
from farthing.engine.limits import MAX_WAITING, check_request
from farthing.engine.pages import PAGE, Pages, pages_for
from farthing.engine.prefix import Prefix
from farthing.engine.scheduler import Plan, Scheduler
from farthing.engine.sequence import Reason, Sequence
from farthing.engine.types import (
    Cancel,
    Charge,
    Counters,
    EngineInfo,
    Events,
    Request,
    Runner,
    Sampled,
    Started,
    Step,
    Token,
)
from farthing.errors import Busy, InputError
from farthing.meter.attribution import Clock, split


class Engine:
    def __init__(self, runner: Runner, config: EngineConfig, clock: Clock | None = None) -> None:
        if config.max_context > runner.max_context:
            raise InputError(
                f"max_context is {config.max_context}; this model reads at most"
                f" {runner.max_context} tokens"
            )
        most = min(config.max_context or runner.max_context, runner.pages * PAGE)
        step_tokens = min(config.max_step_tokens, runner.max_step_tokens)
        slots = min(config.max_sequences, step_tokens)
        self.runner = runner
        self.max_context = most
        self.clock = clock or Clock()
        self.prefix = Prefix(Pages(runner.pages), enabled=config.prefix_cache)
        self.scheduler = Scheduler(self.prefix, max_step_tokens=step_tokens, max_sequences=slots)
        self._batch = Batch(slots=slots, table=pages_for(most), max_step_tokens=step_tokens)
        self._sequences: dict[str, Sequence] = {}
        self._arrivals = count()
        self._events = Events()
        self._steps = self._prompt = self._cached = self._made = 0

    @property
    def idle(self) -> bool:
        """Nothing to do and nothing to tell: wait for a message."""
        return not self._sequences and not self._events.finished

    def info(self) -> EngineInfo:
        return EngineInfo(
            isa=self.runner.isa,
            threads=self.runner.threads,
            vocabulary=self.runner.vocabulary,
            max_context=self.max_context,
            page_bytes=self.runner.page_bytes,
            pages=self.runner.pages,
            load_nanoseconds=self.clock.read().load,
        )

    def submit(self, request: Request) -> None:
        """Raises InputError, ContextTooLong or Busy; else exactly one Finished will follow."""
        check_request(request, vocabulary=self.runner.vocabulary, max_context=self.max_context)
        if request.id in self._sequences:
            raise InputError(f"a request {request.id!r} is under way; give each its own id")
        if len(self.scheduler.waiting) >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} requests are waiting, and no more may; try again later")
        sequence = Sequence(request, next(self._arrivals), max_context=self.max_context)
        self._sequences[request.id] = sequence
        self.scheduler.add(sequence)

    def cancel(self, cancel: Cancel) -> None:
        """Its pages are free when this returns. One that has finished already is no error."""
        if sequence := self._sequences.get(cancel.id):
            self._finish(sequence, "cancelled", cancel.keep)

    def cancel_all(self) -> None:
        for sequence in list(self._sequences.values()):
            self._finish(sequence, "cancelled")

    def step(self) -> Events:
        """One round of scheduling and one call of the runner."""
        plan = self.scheduler.plan()
        if plan.sequences:
            step, asking = self._batch.step(plan)
            sampled = self._run(step)
            self._charge(plan, step)
            self._tell_started(plan)
            self._advance(plan)
            self._answer(asking, sampled)
        return self._tell()

    def counters(self) -> Counters:
        reading, pages = self.clock.read(), self.prefix.pages
        kept = self.prefix.idle
        return Counters(
            busy=reading.busy,
            idle=reading.idle,
            load=reading.load,
            running=len(self.scheduler.running),
            waiting=len(self.scheduler.waiting),
            pages=pages.total,
            pages_used=pages.total - pages.spare - kept,
            pages_kept=kept,
            steps=self._steps,
            preemptions=self.scheduler.preemptions,
            prompt_tokens=self._prompt,
            cached_tokens=self._cached,
            completion_tokens=self._made,
        )

    def check(self) -> None:
        """Asserts that no page, slot or sequence is lost."""
        self.scheduler.check()
        known = {id(sequence) for sequence in self._sequences.values()}
        assert known == {id(s) for s in self.scheduler.running + self.scheduler.waiting}

    def _run(self, step: Step) -> Sampled:
        began = perf_counter_ns()
        sampled = self.runner.run(step)
        self._events.step_nanoseconds = perf_counter_ns() - began
        return sampled

    def _charge(self, plan: Plan, step: Step) -> None:
        """The step's time to those who caused it; what follows here is the next step's."""
        weights = self.runner.work(step).tolist()
        parts = split(self.clock.step_done(), weights)
        charges = self._events.charges
        for sequence, nanoseconds in zip(plan.sequences, parts, strict=True):
            kind = sequence.kind
            sequence.nanoseconds[kind] += nanoseconds
            charges.append(Charge(sequence.id, kind, nanoseconds))

    def _advance(self, plan: Plan) -> None:
        self._steps += 1
        for sequence, length in zip(plan.sequences, plan.lengths, strict=True):
            self.scheduler.computed(sequence, length)

    def _answer(self, asking: list[Sequence], sampled: Sampled) -> None:
        tokens = self._events.tokens
        self._made += len(asking)
        for row, (sequence, token) in enumerate(zip(asking, sampled.ids.tolist(), strict=True)):
            if sequence.request.sampling.logprobs is None:
                tokens.append(Token(sequence.id, token))
            else:
                tokens.append(_with_logprobs(sequence, sampled, row))
            if reason := sequence.append(token):
                self._finish(sequence, reason)

    def _finish(self, sequence: Sequence, reason: Reason, keep: int | None = None) -> None:
        del self._sequences[sequence.id]
        self.scheduler.drop(sequence)
        self._events.finished.append(sequence.finished(reason, keep))

    def _tell_started(self, plan: Plan) -> None:
        for sequence in plan.entered:
            if not sequence.started:
                sequence.started = True
                self._prompt += sequence.prompt
                self._cached += sequence.cached
                self._events.started.append(Started(sequence.id, sequence.cached))

    def _tell(self) -> Events:
        events, self._events = self._events, Events()
        events.counters = self.counters()
        return events


def _with_logprobs(sequence: Sequence, sampled: Sampled, row: int) -> Token:
    count = sequence.request.sampling.logprobs or 0
    ids, logprobs = sampled.top_ids[row, :count], sampled.top_logprobs[row, :count]
    return Token(
        sequence.id,
        int(sampled.ids[row]),
        float(sampled.logprobs[row]),
        list(zip(ids.tolist(), logprobs.tolist(), strict=True)),
    )
