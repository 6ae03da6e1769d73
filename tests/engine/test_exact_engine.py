"""However the scheduler arranges the work, a request gets the same tokens: exact, not close.

The toy runner's logits depend on every earlier token as its pages hold it, so equality here means
that tables, chunks, positions and sampling rows were right at every step.
"""

import numpy as np
import pytest
from driver import make_engine, request, run
from toy_runner import ToyRunner

WAYS = {
    "greedy": {},
    "seeded": {"temperature": 0.9, "seed": 1234, "choice": 3, "top_k": 40},
    "penalised": {
        "temperature": 0.7,
        "seed": 2**64 - 1,
        "repetition_penalty": 1.3,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "logit_bias": {3: 2.0, 5: float("-inf")},
    },
}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def prompt(length, seed=0):
    return np.random.default_rng(seed).integers(0, 61, length).tolist()


def alone(ask, **config):
    """On a fresh engine with room for everything and no cache."""
    runner = ToyRunner(pages=64, step_tokens=1024)
    config = {"max_step_tokens": 1024, "prefix_cache": False, **config}
    return run(make_engine(runner, **config), [ask]).tokens[ask.id]


def asks(way, lengths, answer=40):
    return [request(f"r{n}", prompt(length, n), answer, **way) for n, length in enumerate(lengths)]


def test_alone_equals_batched(way):
    requests = asks(way, [1, 2, 63, 64, 65, 127, 128, 129, 200, 300])
    batched = run(make_engine(), requests).tokens
    for ask in requests:
        assert batched[ask.id] == alone(ask), ask.id


@pytest.mark.parametrize("budget", [1, 2, 7, 63, 64, 65, 100, 257])
def test_any_chunking_equals_whole(way, budget):
    ask = request("a", prompt(257), 10, **way)
    assert alone(ask, max_step_tokens=budget) == alone(ask)


def test_warm_equals_cold(way):
    ask, engine = request("a", prompt(300), 100, **way), make_engine()
    cold = run(engine, [ask])
    warm = run(engine, [ask])
    longer = request("b", ask.tokens + cold.tokens["a"], 5, **way)
    assert (cold.cached["a"], warm.cached["a"]) == (0, 256)
    assert warm.tokens == cold.tokens
    again = run(engine, [longer])
    assert again.cached["b"] == 384
    assert again.tokens["b"] == alone(longer)


@pytest.mark.parametrize("cache", [True, False])
def test_preempted_equals_not(way, cache):
    requests = asks(way, [60, 61, 62, 1, 2, 3, 50, 40], answer=300)
    engine = make_engine(ToyRunner(pages=8, max_context=512), prefix_cache=cache)
    answers = run(engine, requests)
    assert engine.scheduler.preemptions > 3
    for ask in requests:
        assert answers.tokens[ask.id] == alone(ask), ask.id
        usage = answers.finished[ask.id].usage
        assert (usage.prompt_tokens, usage.completion_tokens) == (len(ask.tokens), 300)
        assert usage.cached_tokens == 0, "what it computed itself is not a hit"


def test_evicted_and_taken_again_equals_cold(way):
    """A pool so small that each prompt drives the last one's pages out."""
    engine = make_engine(ToyRunner(pages=6, max_context=384))
    requests = asks(way, [320, 300, 280], answer=20)
    for _ in range(3):
        for ask in requests:
            assert run(engine, [ask]).tokens[ask.id] == alone(ask)
    assert engine.prefix.idle > 0
    assert engine.runner.touched == 6


def test_choices_of_one_prompt_differ_and_share_its_pages():
    engine = make_engine(ToyRunner(step_tokens=256))
    requests = [
        request(f"c{n}", prompt(200), 30, temperature=1.0, seed=7, choice=n) for n in range(4)
    ]
    answers = run(engine, requests)
    assert len({tuple(answers.tokens[ask.id]) for ask in requests}) == 4
    assert [answers.cached[ask.id] for ask in requests] == [0, 192, 192, 192]
    for ask in requests:
        assert answers.tokens[ask.id] == alone(ask)
