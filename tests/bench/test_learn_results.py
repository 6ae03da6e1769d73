"""The training comparison's figures: whose tokens are over whose, and what the peer is taken at."""

import importlib
import json
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[2] / "peers"


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    return importlib.import_module("learn_results")


@pytest.fixture
def taken(results):
    found = results.Taken()
    found.rates[results.OURS] += [900.0, 1000.0, 1300.0]
    found.rates[results.OURS_ADAMW] += [1500.0, 1500.0, 100.0]
    found.rates[results.PEER] += [250.0, 200.0, 260.0]
    found.rates[results.PEER_BF16] += [500.0, 500.0, 400.0]
    found.peaks += [4e6, 5e6, 3e6]
    return found


def test_medians_are_set_against_the_peers_and_the_best_peak(results, taken):
    assert results.shares(taken, 1000.0) == {
        "train_over_transformers": 4.0,
        "train_over_transformers_adamw": 6.0,
        "train_over_transformers_bf16_weights": 2.0,
        "train_over_transformers_bf16_weights_adamw": 3.0,
        "share_of_bf16_peak": 0.2,
        "share_of_bf16_peak_adamw": 0.3,
        "share_of_bf16_peak_transformers": 0.05,
    }
    json.dumps(results.record(taken))
    assert "250" in results.table(taken, 1000.0)


def test_the_peer_is_taken_at_its_best(results):
    slow, fast = {"settings": 1, "rate": 5.0}, {"settings": 2, "rate": 7.0}
    failed = {"settings": 3, "rate": 0.0, "failed": "RuntimeError: no"}
    assert results.best([slow, failed, fast]) is fast
    with pytest.raises(SystemExit, match="RuntimeError: no"):
        results.best([failed])


def test_both_sides_are_asked_for_one_model(monkeypatch):
    """The shape is one that our recipes take, and the other side counts as many parameters."""
    monkeypatch.syspath_prepend(str(PEERS))
    shape = importlib.import_module("learn_task").SHAPE
    import torch
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    from farthing.learn import model_fields, work

    model_fields.check(shape, next_token=False, length=512)
    fields = {name: value for name, value in shape.items() if name != "model_type"}
    with torch.device("meta"):
        theirs = DeepseekV3ForCausalLM(DeepseekV3Config(**fields, num_nextn_predict_layers=0))
    parameters = sum(p.numel() for p in theirs.parameters())
    corrections = sum(b.numel() for n, b in theirs.named_buffers() if "correction" in n)
    assert work.count(shape, next_token=False).parameters == parameters + corrections
