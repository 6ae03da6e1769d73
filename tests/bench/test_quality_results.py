"""The comparison of quantizers: which ratio counts, and what the last line promises."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from farthing.formats.quality import Interval, Loss

PEERS = Path(__file__).parents[2] / "peers"
BLOCKS = np.arange(0, 640, 64)


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    return importlib.import_module("quality_results")


def loss(kl):
    middle = Interval(mean=float(kl.mean()), low=0.0, high=1.0)
    same = {"same_top": middle, "perplexity": middle, "reference_perplexity": middle}
    return Loss(kl=middle, kl_median=0.1, kl_p99=0.2, kl_max=0.3, **same)


def found(results, reference, **means):
    made = results.Found(reference, BLOCKS, texts={"a": slice(0, 320), "b": slice(320, None)})
    noise = np.random.default_rng(4).uniform(0.5, 1.5, 640)
    for name, mean in means.items():
        kl = mean * noise
        made.rows[name] = results.Row(
            name=name,
            linear_bits=4.5,
            all_bits=5.1,
            seconds=2.0,
            types="Q4_0",
            loss=loss(kl),
            kl=kl,
        )
    return made


def test_the_smaller_ratio_of_the_references_counts(results):
    pair = results.Pair("theirs_over_ours", "theirs", "ours")
    both = [
        found(results, "dithered", theirs=0.06, ours=0.02),
        found(results, "rotated", theirs=0.05, ours=0.02),
    ]
    line = json.loads(json.dumps(results.record(both, [pair], {"seconds": 3})))
    assert line["theirs_over_ours"] == 2.5 and line["seconds"] == 3
    assert line["references"]["dithered"]["theirs_over_ours"]["mean"] == pytest.approx(3)
    row = line["references"]["rotated"]["rows"]["ours"]
    assert sum(row["kl_by_text"].values()) / 2 == pytest.approx(row["loss"]["kl"]["mean"], abs=1e-5)


def test_a_ratio_that_one_reference_lacks_is_not_told(results):
    pair = results.Pair("key", "theirs", "ours")
    both = [found(results, "a", theirs=0.06, ours=0.02), found(results, "b", ours=0.02)]
    assert results.record(both, [pair], {})["key"] is None


def test_what_both_share_does_not_widen_the_interval_of_a_ratio(results):
    random = np.random.default_rng(2)
    shared = np.repeat(random.uniform(0.1, 5, 10), 64)
    proportional = results.ratio(3 * shared, shared, BLOCKS)
    assert proportional.low == pytest.approx(3) and proportional.high == pytest.approx(3)
    apart = results.ratio(3 * shared, shared * random.uniform(0.5, 1.5, 640), BLOCKS)
    assert apart.low < apart.mean < apart.high < apart.low + 0.6


def test_people_see_bits_loss_and_ratio(results):
    pair = results.Pair("key", "theirs", "ours")
    text = found(results, "dithered", theirs=0.06, ours=0.02).table([pair])
    assert "reference: dithered" in text and "4.500" in text
    assert text.splitlines()[-1].startswith("theirs / ours: 3.00 (")
