"""What a token costs to train, counted from the page, is what a hand counts."""

import json

import pytest
import torch

from farthing.learn import facts, work
from farthing.learn.batches import Rows
from farthing.learn.plan import Plan
from learn import toy_run


def test_a_dense_model_by_hand():
    c = toy_run.DENSE
    width, inner, layers, vocabulary = 32, 48, 2, 128
    heads, kv_heads, head = 4, 2, 8
    attention = width * (heads + 2 * kv_heads + heads) * head
    block = attention + 3 * width * inner
    found = work.count(c, next_token=False)
    assert found.token == 2 * (layers * block + vocabulary * width)
    # queries by keys, and weights by values: 2 operations for each of a head's numbers
    assert found.pair == {0: layers * 2 * 2 * heads * head}
    norms = (2 * layers + 1) * width
    assert found.parameters == layers * block + vocabulary * width + norms
    assert found.active == found.parameters


def test_a_mixture_by_hand():
    width, latent, heads, nope, rope, value = 32, 16, 2, 16, 8, 16
    experts, top_k, inner, dense, vocabulary = 8, 2, 16, 48, 128
    attention = (
        width * heads * (nope + rope)  # queries
        + width * (latent + rope)  # the latent, and its turned part
        + heads * nope * latent  # queries taken to the latent
        + heads * latent * value  # values taken from it
        + heads * value * width
    )
    expert = 3 * width * inner
    sparse = width * experts + (top_k + 1) * expert
    main = 2 * attention + 3 * width * dense + sparse + vocabulary * width
    found = work.count(toy_run.SPARSE, next_token=False)
    assert found.token == 2 * main
    # every head's own keys and values meet, not the latents
    pair = 2 * heads * ((nope + rope) + value)
    assert found.pair == {0: 2 * pair}
    assert found.parameters - found.active == (experts - top_k) * expert

    head = 2 * width * width + attention + sparse + vocabulary * width
    further = work.count(toy_run.SPARSE, next_token=True)
    assert further.token == 2 * (main + head)
    assert further.pair == {0: 3 * pair}


def test_attention_is_counted_within_documents_and_windows():
    found = work.Work(token=100, pair={0: 10, 2: 1}, parameters=0, active=0)
    positions = torch.tensor([[0, 1, 2, 0]])  # see 1, 2, 3 and 1 tokens; in a window 1, 2, 2, 1
    assert found.training(positions) == pytest.approx(3 * (100 + 10 * 7 / 4 + 6 / 4))


@pytest.mark.parametrize("changed, kept", [({}, True), ({"threads": 9}, False)])
def test_the_highest_peak_of_these_threads_counts(changed, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "peak", lambda: 2.0)
    plan = Plan.read(toy_run.recipe(tmp_path))
    rows = Rows(plan.train, [1.0], length=32, rows=8, seed=0)
    now = facts.surroundings(1, plan.train)
    (tmp_path / "facts.json").write_text(json.dumps(now | {"peak": 7.0} | changed))
    found = facts.measured(plan.recipe, rows, now, tmp_path / "facts.json")
    assert found["peak"] == (7.0 if kept else 2.0)


@pytest.mark.parametrize("name", ["threads", "torch", "instructions", "kernels", "farthing"])
def test_whatever_costs_the_sameness_of_bits_is_told(name):
    now = facts.surroundings(1, [])
    assert facts.compared(now, now) == []
    (told,) = facts.compared(now, now | {name: "other"})
    assert told.startswith(f"{name} was other and is {now[name]}")


def test_our_kernels_are_named_by_what_they_run_on(monkeypatch):
    monkeypatch.setenv("FARTHING_ISA", "portable")
    assert facts.bits(1)["kernels"] == "portable"
