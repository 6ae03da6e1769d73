"""The meter closes: every nanosecond of a step is charged once, and waiting is nobody's."""

import random
from itertools import pairwise

import pytest
from driver import Answers, FakeTime, cancel, make_engine, request, run
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_runner import ToyRunner


class Timed(ToyRunner):
    """A step takes `fixed` nanoseconds and 1000 for each token at each 100 positions."""

    def __init__(self, time: FakeTime, fixed: int = 0, **sizes):
        super().__init__(**sizes)
        self.time, self.fixed = time, fixed

    def run(self, step):
        self.time.at += self.fixed + round(1000 * float(self.cost(step).sum()))
        return super().run(step)

    def cost(self, step):
        lengths = step.starts[1:] - step.starts[:-1]
        return lengths * (1.0 + (step.positions + lengths / 2) / 100)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.integers(5, 40))
def test_bills_and_idle_are_the_clocks_time_to_the_nanosecond(seed, pages):
    dice, time = random.Random(seed), FakeTime()
    runner = Timed(time, 777, pages=pages, max_context=320)
    engine, answers = make_engine(runner, time, max_step_tokens=100), Answers()
    began, waited = time.at, 0
    engine.clock.loading(5_000_000)
    for n in range(20):
        engine.submit(request(f"r{n}", [dice.randrange(5)] * dice.randrange(1, 200), 60))
        time.at += dice.randrange(5000)  # Python between the calls
        if dice.random() < 0.3:
            cancel(engine, f"r{dice.randrange(20)}", keep=dice.choice([None, 0, 3]))
        for _ in range(dice.randrange(3)):
            answers.take(engine.step())
            time.at += dice.randrange(5000)
        engine.clock.begin_wait()
        time.at += (wait := dice.randrange(100_000))
        engine.clock.end_wait()
        waited += wait
    run(engine, answers=answers)

    bills = sum(sum(f.usage.nanoseconds) for f in answers.finished.values())
    reading = engine.clock.read()
    assert len(answers.finished) == 20
    assert bills == reading.busy and waited == reading.idle and reading.load == 5_000_000
    assert bills + waited + engine.clock.pending == time.at - began
    assert engine.clock.check() == 0
    for counters in [engine.counters()]:
        assert (counters.busy, counters.idle, counters.load) == (bills, waited, 5_000_000)


def test_token_classes_are_exclusive_and_complete():
    """What a prompt and an answer are made of is computed or cached, once, and told."""
    time = FakeTime()
    engine = make_engine(Timed(time, pages=100), time)
    prompt = [n % 61 for n in range(200)]
    cold = run(engine, [request("a", prompt, 30)]).finished["a"].usage
    computed = sum(tokens for tokens, _ in engine.runner.steps)
    assert computed == 200 + 29, "the last token is told, and never read again"
    assert (cold.prompt_tokens, cold.cached_tokens, cold.completion_tokens) == (200, 0, 30)
    warm = run(engine, [request("a", prompt, 30)]).finished["a"].usage
    assert (warm.prompt_tokens, warm.cached_tokens, warm.completion_tokens) == (200, 192, 30)
    fresh, cached, decode, rejected = warm.nanoseconds
    assert cached == rejected == 0, "a hit costs nothing but the lookup"
    assert fresh < cold.nanoseconds[0] / 10 and decode == cold.nanoseconds[2]


def test_a_bill_does_not_depend_on_company_when_work_is_all_there_is():
    bills = [bill_of_one(company, fixed=0) for company in (0, 1, 16)]
    for one, other in pairwise(bills):
        assert one == pytest.approx(other, rel=0.001)


def test_what_a_step_costs_by_itself_is_shared_by_those_in_it():
    """16 others like it: a seventeenth of each step's fixed time, and all of its own work."""
    fixed = 100_000
    work = bill_of_one(0, fixed=0)
    steps = (bill_of_one(0, fixed=fixed) - work) / fixed
    assert steps == pytest.approx(50)
    assert bill_of_one(16, fixed=fixed) == pytest.approx(work + steps * fixed / 17, rel=0.1)


def bill_of_one(company: int, fixed: int) -> int:
    time = FakeTime()
    runner = Timed(time, fixed, pages=200, step_tokens=2048)
    engine = make_engine(runner, time, max_step_tokens=2048, max_sequences=32, prefix_cache=False)
    requests = [request(f"r{n}", [n] * 70, 50) for n in range(company + 1)]
    return sum(run(engine, requests).finished["r0"].usage.nanoseconds)


def test_computing_again_is_charged_to_who_was_preempted():
    time = FakeTime()
    engine = make_engine(Timed(time, pages=5, max_context=320), time, prefix_cache=False)
    answers = run(engine, [request("early", [1] * 60, 150), request("late", [2] * 60, 150)])
    assert engine.scheduler.preemptions > 0
    early, late = (answers.finished[id].usage for id in ("early", "late"))
    assert late.nanoseconds[0] > early.nanoseconds[0]
    assert (late.prompt_tokens, late.completion_tokens) == (60, 150)
