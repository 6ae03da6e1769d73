"""Random submits, cancels and steps on tiny pools: nothing leaks, nobody is lost or told twice."""

import random

import pytest
from driver import Answers, FakeTime, cancel, make_engine, request, run
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from toy_runner import ToyRunner

from farthing.engine.engine import Engine
from farthing.engine.prefix import Prefix
from farthing.engine.scheduler import Scheduler

STEMS = [[n * k % 61 for n in range(200)] for k in (1, 2, 3)]
ALONE: dict[tuple, list[int]] = {}


def alone(ask) -> list[int]:
    key = (tuple(ask.tokens), ask.max_tokens, ask.sampling.temperature, ask.sampling.seed)
    if key not in ALONE:
        engine = make_engine(ToyRunner(max_context=320), prefix_cache=False)
        ALONE[key] = run(engine, [ask]).tokens[ask.id]
    return ALONE[key]


class Machine(RuleBasedStateMachine):
    @initialize(
        pages=st.integers(2, 12),
        budget=st.sampled_from([1, 3, 17, 64, 100, 256]),
        sequences=st.integers(1, 6),
        cache=st.booleans(),
    )
    def begin(self, pages, budget, sequences, cache):
        runner = ToyRunner(pages=pages, max_context=320)
        self.engine = make_engine(
            runner, max_step_tokens=budget, max_sequences=sequences, prefix_cache=cache
        )
        self.asked, self.cancelled, self.answers = {}, set(), Answers()

    @rule(
        stem=st.sampled_from(STEMS),
        length=st.integers(1, 200),
        tail=st.lists(st.integers(0, 60), max_size=3),
        answer=st.integers(1, 80),
        temperature=st.sampled_from([0.0, 1.0]),
    )
    def submit(self, stem, length, tail, answer, temperature):
        most = self.engine.max_context - 1
        tokens = (stem[:length] + tail)[:most]
        ask = request(f"r{len(self.asked)}", tokens, answer, temperature=temperature, seed=answer)
        self.engine.submit(ask)
        self.asked[ask.id] = ask

    @rule(which=st.integers(0, 50), keep=st.none() | st.integers(0, 9))
    def cancel(self, which, keep):
        cancel(self.engine, f"r{which}", keep)
        self.cancelled.add(f"r{which}")

    @rule(count=st.integers(1, 60))
    def steps(self, count):
        for _ in range(count):
            self.answers.take(self.engine.step())
            self.engine.check()

    @invariant()
    def nothing_leaks(self):
        if hasattr(self, "engine"):
            self.engine.check()

    def teardown(self):
        if not hasattr(self, "engine"):
            return
        run(self.engine, answers=self.answers)
        assert self.answers.finished.keys() == self.asked.keys()
        spare, idle = self.engine.prefix.pages.spare, self.engine.prefix.idle
        assert spare + idle == self.engine.prefix.pages.total
        for id, ask in self.asked.items():
            made = self.answers.tokens.get(id, [])
            if self.answers.finished[id].reason == "cancelled":
                assert id in self.cancelled
                assert made == alone(ask)[: len(made)]
            else:
                room = self.engine.max_context - len(ask.tokens)
                assert made == alone(ask)[: min(ask.max_tokens, room)]


TestMachine = Machine.TestCase
TestMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (Scheduler, "_preempt", lambda self, sequence: self._leave(sequence)),
        (Prefix, "release", lambda self, pages: None),
        (Prefix, "match", lambda self, names: [*self._page_of.values()][: len(names)]),
    ],
)
def test_these_tests_see_an_engine_that_is_broken(monkeypatch, owner, name, broken):
    """A lost sequence, leaked pages, and pages of somebody else's prefix."""
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError):
        soak(tokens=3000, seed=1)


def test_a_few_thousand_tokens_of_random_arrivals():
    engine = soak(tokens=6000, seed=2)
    assert engine.scheduler.preemptions > 10
    assert engine.counters().cached_tokens > 1000


@pytest.mark.slow
def test_a_hundred_thousand_tokens_of_random_arrivals():
    soak(tokens=100_000, seed=3)


def soak(tokens: int, seed: int) -> Engine:
    """Each stop, each cancel and each answer is checked; the pool has room for a few."""
    dice, time = random.Random(seed), FakeTime()
    runner = ToyRunner(pages=8, max_context=320)
    engine, answers, asked = make_engine(runner, time, max_step_tokens=128), Answers(), {}
    while sum(map(len, answers.tokens.values())) < tokens:
        if len(engine.scheduler.waiting) < 5 and dice.random() < 0.3:
            stem = dice.choice(STEMS)[: dice.randrange(1, 200)]
            ask = request(f"r{len(asked)}", stem, dice.randrange(1, 240), seed=dice.randrange(3))
            engine.submit(ask)
            asked[ask.id] = ask
        if asked and dice.random() < 0.02:
            cancel(engine, dice.choice(list(asked)[-20:]))
        time.at += 1
        answers.take(engine.step())
        engine.check()
    run(engine, answers=answers)
    assert answers.finished.keys() == asked.keys()
    for id, ask in asked.items():
        made = answers.tokens.get(id, [])
        assert made == alone(ask)[: len(made)]
        if answers.finished[id].reason == "length":
            assert len(made) == min(ask.max_tokens, 320 - len(ask.tokens))
    ALONE.clear()
    return engine
