"""Who runs: budgets, chunks, order, sharing, and what is given back when."""

import pytest
from driver import Answers, cancel, make_engine, request, run
from toy_runner import ToyRunner

from farthing.engine.types import Cancel


def lengths(engine, answers=None):
    """(tokens, segments) of one step."""
    events = engine.step()
    engine.check()
    if answers:
        answers.take(events)
    return engine.runner.steps[-1]


def test_a_chunk_ends_with_a_page_when_it_can():
    engine = make_engine(ToyRunner(step_tokens=100), max_step_tokens=100)
    engine.submit(request("a", [1] * 300, 4))
    assert [lengths(engine)[0] for _ in range(6)] == [64, 64, 64, 64, 44, 1]


def test_decode_goes_on_beside_a_long_prompt():
    engine = make_engine(ToyRunner(step_tokens=128), max_step_tokens=128)
    answers = Answers()
    for n in range(3):
        engine.submit(request(f"short{n}", [n], 50))
    lengths(engine, answers)
    engine.submit(request("long", range(60), 5))
    engine.submit(request("longer", [n % 61 for n in range(500)], 5))
    steps = [lengths(engine, answers) for _ in range(12)]
    assert all(tokens <= 128 and segments >= 3 for tokens, segments in steps)
    assert all(len(answers.tokens[f"short{n}"]) == 13 for n in range(3))
    assert len(answers.finished) == 2


def test_a_short_prompt_does_not_wait_for_a_long_one_and_slows_it_by_half_at_most():
    engine = make_engine(ToyRunner(step_tokens=256))
    answers = Answers()
    engine.submit(request("long", [n % 61 for n in range(1000)], 3))
    assert lengths(engine, answers) == (256, 1), "alone it takes all"
    for n in range(8):
        engine.submit(request(f"short{n}", [n] * 60, 3))
    steps = [lengths(engine, answers) for _ in range(2)]
    assert steps == [(128 + 2 * 60, 3), (64 + 2 + 3 * 60, 6)]
    assert len(answers.tokens["short0"]) == 2, "half of what a step has left goes to short ones"
    run(engine, answers=answers)
    assert len(answers.finished) == 9


def test_every_sequence_gets_a_token_however_small_the_budget():
    engine = make_engine(ToyRunner(step_tokens=4), max_step_tokens=4, max_sequences=8)
    answers = run(engine, [request(f"r{n}", [n, 1, 2], 10) for n in range(9)])
    assert len(answers.finished) == 9
    assert max(tokens for tokens, _ in engine.runner.steps) <= 4


def test_no_more_sequences_run_than_are_allowed():
    engine = make_engine(max_sequences=3)
    run(engine, [request(f"r{n}", [n], 5 + n) for n in range(10)])
    assert max(segments for _, segments in engine.runner.steps) == 3


def test_a_prefix_that_arrives_many_times_at_once_is_computed_once():
    shared = [n % 61 for n in range(200)]
    engine = make_engine()
    answers = run(engine, [request(f"r{n}", [*shared, n, n + 1], 4) for n in range(8)])
    prefilled = sum(tokens for tokens, _ in engine.runner.steps) - 8 * 3
    assert prefilled == 202 + 7 * (202 - 192)
    assert sorted(answers.cached.values()) == [0] + [192] * 7


def test_who_waits_for_a_prefix_lets_others_pass_and_goes_on_if_its_maker_leaves():
    shared = [n % 61 for n in range(400)]
    engine = make_engine(ToyRunner(step_tokens=100), max_step_tokens=100)
    engine.submit(request("maker", shared, 4))
    lengths(engine)
    engine.submit(request("waits", shared, 4))
    engine.submit(request("passes", [5], 4))
    lengths(engine)
    assert [s.id for s in engine.scheduler.running] == ["maker", "passes"]
    cancel(engine, "maker")
    answers = run(engine)
    assert answers.cached["waits"] == 128, "what the maker had computed is kept"
    assert answers.finished["waits"].reason == "length"


def test_without_a_cache_nobody_waits_and_nothing_is_shared():
    engine = make_engine(prefix_cache=False)
    answers = run(engine, [request(f"r{n}", [7] * 130, 4) for n in range(3)])
    assert set(answers.cached.values()) == {0}
    assert engine.prefix.pages.spare == engine.prefix.pages.total


def test_the_latest_goes_first_when_pages_run_out_and_the_earliest_never():
    engine = make_engine(ToyRunner(pages=4, max_context=256))
    answers = Answers()
    for n in range(3):
        engine.submit(request(f"r{n}", [n] * 60, 120))
    order = []
    while not engine.idle:
        answers.take(engine.step())
        engine.check()
        running = [s.arrival for s in engine.scheduler.running]
        assert running == sorted(running)
        order += [f.request for f in answers.finished.values() if f.request not in order]
    assert order == ["r0", "r1", "r2"]
    assert engine.scheduler.preemptions > 0


def test_a_large_prompt_is_not_starved_by_small_ones():
    engine = make_engine(ToyRunner(pages=8, max_context=512))
    engine.submit(request("early", [1] * 100, 60))
    engine.step()
    engine.submit(request("large", [2] * 450, 2))
    for n in range(20):
        engine.submit(request(f"small{n}", [3], 30))
    answers = run(engine)
    assert list(answers.finished)[:2] == ["early", "large"]


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_cancelling_gives_back_pages_and_slot_at_once(steps):
    engine = make_engine(ToyRunner(step_tokens=64), max_step_tokens=64, prefix_cache=False)
    answers = Answers()
    engine.submit(request("a", [1] * 200, 50))
    for _ in range(steps):
        lengths(engine, answers)
    cancel(engine, "a")
    assert engine.prefix.pages.spare == engine.prefix.pages.total
    engine.check()
    assert not engine.idle, "its end is yet to be told"
    answers.take(engine.step())
    assert answers.finished["a"].reason == "cancelled" and engine.idle
    engine.cancel(Cancel(id="a"))
    assert engine.idle


def test_pages_never_needed_are_never_touched():
    engine = make_engine(ToyRunner(pages=1000), prefix_cache=False)
    for n in range(30):
        run(engine, [request(f"r{n}", [n] * 100, 40)])
    assert engine.runner.touched == 3


def test_cached_pages_go_only_when_there_is_no_other():
    engine = make_engine(ToyRunner(pages=10, max_context=640))
    first = request("a", [1] * 129, 2)
    run(engine, [first])
    run(engine, [request("b", [2] * 300, 2)])
    assert run(engine, [first]).cached["a"] == 128
    run(engine, [request("c", [3] * 600, 2)])
    assert run(engine, [first]).cached["a"] == 0
