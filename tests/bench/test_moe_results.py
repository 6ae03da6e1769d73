"""The comparison on mixtures of experts: which peer counts, and what the last line promises."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

PEERS = Path(__file__).parents[2] / "peers"


@pytest.fixture
def results(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PEERS))
    return importlib.import_module("moe_results")


def filled(results):
    made = results.Results([results.ROWS[0]])
    for name, ours, theirs in (
        ("A", [30.0, 31.0, 32.0], [20.0]),
        ("B", [28.0], [24.0, 25.0, 26.0]),
    ):
        taken = importlib.import_module("rows").Taken(results.ROWS[0], "farthing")
        taken.rates = {"farthing": ours, name: theirs}
        taken.settings = {"farthing": {}, name: {"threads": 2}}
        made.taken[results.ROWS[0].name].append(taken)
    return made


def test_a_ratio_is_to_the_fastest_peer_and_to_ours_of_the_same_turns(results):
    record = json.loads(json.dumps(filled(results).record()))
    assert record["moe_decode_b1"] == round(28 / 25, 3)
    assert record["rows"]["moe_decode_b1"]["best_peer"] == "B"
    assert record["rows"]["moe_decode_b1"]["beside"][0]["sides"]["farthing"]["median"] == 31.0


def test_people_see_every_peer_and_which_counts(results):
    lines = filled(results).table().splitlines()
    assert len(lines) == 2
    assert ["best peer" in line for line in lines] == [False, True]
    assert "1.12" in lines[1] and "1.55" in lines[0]


def test_the_promised_rows_are_there(results):
    names = [row.name for row in results.rows_for("qwen3_moe", 40960)]
    assert names == ["moe_decode_b1", "moe_decode_b8", "moe_decode_b32", "moe_prefill_512"]


def test_whole_models_are_also_decoded_at_depth_but_not_beyond_their_context(results):
    deep = results.rows_for("olmoe", 4096)[-1]
    assert deep.arguments["depth"] + deep.arguments["tokens"] < 4096
    assert results.rows_for("deepseek_v2", 163840)[-1].arguments["depth"] == 4096
