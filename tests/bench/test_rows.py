"""The comparison with peers: turns, ratios, and who may be left out."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PEERS = Path(__file__).parents[2] / "peers"


@pytest.fixture(scope="module")
def rows():
    spec = importlib.util.spec_from_file_location("peer_rows", PEERS / "rows.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class Pretend:
    """A side whose rates are written down beforehand."""

    def __init__(self, name, rates, order, *, ours=False, serves=False):
        self.name, self.order = name, order
        self.rates = iter(rates)
        self.recipe = SimpleNamespace(ours=ours, serves=serves)

    def ask(self, do, **arguments):
        self.order.append(self.name)
        return {"rate": next(self.rates), "settings": {"do": do}}

    def cpu_seconds(self):
        return 0.0


def take(rows, *, served=False, slow=80.0):
    order = []
    sides = [
        Pretend("ours", [1, 200, 220, 210], order, ours=True, serves=True),
        Pretend("quick", [100, 100, 110, 90], order, serves=True),
        Pretend("slow", [slow, slow, slow, slow], order),
    ]
    row = rows.Row("row", "a row", "served" if served else "decode", {}, only_servers=served)
    (taken,) = rows.measure(sides, [row], 3, lambda *_: None)
    return taken, order


def test_sides_take_turns_and_the_warm_up_does_not_count(rows):
    taken, order = take(rows)
    assert order == ["ours", "quick", "slow"] * 4
    assert taken.rates["ours"] == [200, 220, 210]


def test_the_ratio_is_of_medians_to_the_best_peer(rows):
    taken, _ = take(rows)
    assert taken.best_peer() == "quick"
    assert rows.ratio(taken) == 2.1


def test_a_hopeless_peer_is_run_once_and_its_figure_is_kept(rows):
    taken, order = take(rows, slow=10.0)
    assert order.count("slow") == 1
    assert taken.rates["slow"] == [10.0]
    assert taken.best_peer() == "quick"


def test_a_peer_that_could_win_is_never_left_out(rows):
    _, order = take(rows, slow=51.0)
    assert order.count("slow") == 4


def test_a_load_is_for_those_who_serve(rows):
    taken, order = take(rows, served=True)
    assert "slow" not in order and "slow" not in taken.rates


def test_the_named_ratios_are_those_that_are_promised(rows):
    assert [row.name for row in rows.ROWS] == [
        *("decode_b1", "decode_b1_d4096", "decode_b32"),
        *("prefill_512", "prefill_2048", "served_32"),
    ]


def test_table_and_record_are_for_people_and_programs(rows):
    taken, _ = take(rows)
    assert "2.10 (quick)" in rows.table([taken])
    record = json.loads(json.dumps(taken.record()))
    assert record["sides"]["ours"]["median"] == 210 and record["sides"]["slow"]["runs"] == 3
