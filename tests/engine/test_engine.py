"""Requests in, tokens and one end out: reasons, refusals, and the adjustments asked for."""

from math import inf, nan

import pytest
from driver import Answers, cancel, make_engine, request, run
from toy_runner import ToyRunner

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.limits import MAX_WAITING
from farthing.errors import Busy, ContextTooLong, InputError


def plain(count=30, **more):
    return run(make_engine(), [request("a", [1, 2, 3], count, **more)])


def test_an_answer_ends_at_a_stop_id_which_is_told():
    tokens = plain().tokens["a"]
    stop = tokens[7]
    cut = plain(stop_ids=[stop])
    assert cut.tokens["a"] == tokens[: tokens.index(stop) + 1]
    assert cut.finished["a"].reason == "stop"
    assert plain().finished["a"].reason == "length"


def test_no_stop_id_is_chosen_too_early():
    tokens = plain().tokens["a"]
    first = tokens[0]
    late = plain(stop_ids=[first], min_tokens=10, logit_bias={first: 1000.0})
    assert first not in late.tokens["a"][:10]
    assert late.tokens["a"][10:] == [first], "its own bias is back when it may be chosen"
    assert plain(stop_ids=[first], min_tokens=1).tokens["a"][0] != first
    assert plain(stop_ids=[first], min_tokens=0).tokens["a"] == [first]


def test_bias_and_penalties_steer_the_choice():
    assert set(plain(logit_bias={9: 100.0}).tokens["a"]) == {9}
    often = plain(frequency_penalty=50.0, logit_bias={9: 100.0}).tokens["a"]
    assert set(often[:2]) == {9} and often.count(9) <= 3, "each time takes 50 more"
    assert len(set(plain(30, presence_penalty=99.0).tokens["a"])) == 30
    strong = plain(30, repetition_penalty=100.0).tokens["a"]
    assert len({*strong, 1, 2, 3}) == 33, "the prompt counts too"


def test_the_answer_ends_where_the_context_does():
    engine = make_engine(max_context=100)
    answers = run(engine, [request("a", [1] * 90, 500)])
    assert len(answers.tokens["a"]) == 10
    assert answers.finished["a"].reason == "length"


def test_the_pool_bounds_the_context_too():
    engine = make_engine(ToyRunner(pages=3, max_context=8192))
    assert engine.info().max_context == 192
    assert len(run(engine, [request("a", [1] * 150, 500)]).tokens["a"]) == 42
    with pytest.raises(ContextTooLong, match="192 tokens and at most 191"):
        engine.submit(request("b", [1] * 192))


def test_a_longer_context_than_the_model_reads_is_refused():
    with pytest.raises(InputError, match="max_context is 5000; this model reads at most 1024"):
        Engine(ToyRunner(), EngineConfig(max_context=5000))


def test_only_tokens_kept_are_counted_as_the_answer():
    engine, answers = make_engine(), Answers()
    engine.submit(request("a", [1], 50))
    for _ in range(10):
        answers.take(engine.step())
    cancel(engine, "a", keep=7)
    answers.take(engine.step())
    usage = answers.finished["a"].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.rejected_tokens) == (1, 7, 3)


def test_who_never_ran_is_told_and_pays_nothing():
    engine = make_engine(max_sequences=1)
    engine.submit(request("a", [1], 5))
    engine.submit(request("b", [2], 5))
    engine.step()
    cancel(engine, "b")
    usage = run(engine).finished["b"].usage
    assert usage.nanoseconds == (0, 0, 0, 0) and usage.completion_tokens == 0


def test_logprobs_come_when_asked_and_only_then():
    engine = make_engine()
    for n, count in enumerate([None, 0, 2, 5]):
        engine.submit(request(f"r{n}", [1, 2], 1, logprobs=count))
    none, chosen, two, five = engine.step().tokens
    assert none.logprob is None and none.top is None
    assert chosen.logprob < 0 and chosen.top == []
    assert len(two.top) == 2 and len(five.top) == 5 and five.top[:2] == two.top
    assert (five.id, five.logprob) == five.top[0], "greedy takes the likeliest"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"tokens": []}, "empty"),
        ({"tokens": [61]}, "prompt names token 61; the vocabulary has tokens 0 to 60"),
        ({"tokens": [-1]}, "prompt names token -1"),
        ({"stop_ids": [99]}, "stop_ids names token 99"),
        ({"logit_bias": {-7: 1.0}}, "logit_bias names token -7"),
        ({"logit_bias": {1: nan}}, "logit_bias of 1 is nan"),
        ({"logit_bias": {2: inf}}, "logit_bias of 2 is inf"),
        ({"logit_bias": {2: 10**400}}, "logit_bias of 2 is 10000"),
        ({"max_tokens": 10**20}, "max_tokens is 1000"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"min_tokens": -1}, "min_tokens is -1"),
        ({"temperature": nan}, "temperature is nan"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_k": -1}, "top_k is -1"),
        ({"min_p": 2.0}, "min_p is 2.0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
        ({"presence_penalty": inf}, "presence_penalty is inf"),
        ({"logprobs": 21}, "logprobs is 21"),
        ({"logprobs": -1}, "logprobs is -1"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(more, says):
    engine = make_engine()
    more = {"tokens": [1], **more}
    with pytest.raises(InputError, match=says):
        engine.submit(request("a", **more))
    assert engine.idle
    engine.check()


def test_any_seed_is_taken():
    for seed in (0, -1, 2**64 - 1, 2**63, -(2**63)):
        assert plain(3, seed=seed, temperature=1.0).tokens["a"]


def test_an_id_is_used_once_at_a_time():
    engine = make_engine()
    engine.submit(request("a", [1]))
    with pytest.raises(InputError, match="under way"):
        engine.submit(request("a", [2]))
    run(engine)
    run(engine, [request("a", [1])])


def test_too_many_in_the_queue_are_told_to_come_back():
    engine = make_engine()
    for n in range(MAX_WAITING):
        engine.submit(request(f"r{n}", [1], 1))
    with pytest.raises(Busy, match="try again later"):
        engine.submit(request("one more", [1], 1))
