"""The headline's figures: whose time is over whose, and which tasks count."""

import importlib
import json
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[2] / "peers"


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    return importlib.import_module("headline_results")


def test_ours_together_is_what_both_shares_set_against_theirs(results):
    times = results.Times()
    for side, way, seconds in (
        ("farthing", "together", [0.1, 0.1, 9.0]),
        ("farthing", "alone", [0.5]),
        ("transformers", "alone", [4.0, 5.0, 6.0]),
        ("transformers", "together", [1.0]),
    ):
        times.taken[side, way] += seconds
    shares = json.loads(json.dumps(results.cost_shares(times)))
    assert shares == {
        "cost_share_single": 0.02,
        "cost_share_batched": 0.1,
        "cost_share_alone": 0.1,
    }
    assert times.record()["farthing, together"] == {"median": 0.1, "best": 0.1, "worst": 9.0}


def share(results, reference, ours, chance=0.25):
    return results.TaskShare(
        task="quiz", chance=chance, reference=reference, peer=reference, ours=ours
    )


def test_a_task_too_near_chance_does_not_count(results):
    clear, near = share(results, 0.8, 0.72), share(results, 0.54, 0.1)
    assert clear.counts and not near.counts
    assert results.task_share([clear, near]) == pytest.approx(0.9)
    assert near.record()["kept"] is None
    assert results.task_share([near]) is None


def test_every_prompt_is_another_piece_of_the_same_prose(results, smollm2):
    from farthing.tokenizer import Tokenizer

    headline = importlib.import_module("headline")
    made = headline.prompts(Tokenizer.open(smollm2), 32)
    lengths = [len(prompt) for prompt in made]
    assert min(lengths) == headline.SHORTEST and max(lengths) == headline.LONGEST
    assert len({tuple(prompt) for prompt in made}) == 32
    assert made == headline.prompts(Tokenizer.open(smollm2), 32)
