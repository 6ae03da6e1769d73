"""Experts that few tokens go to borrow those that come nearest, and say so."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from farthing.ops import reference
from farthing.quantize.experts import ENOUGH, Routing
from farthing.quantize.run import Progress, quantize
from farthing.quantize.source import Source
from farthing.quantize.stream import Rows
from farthing.quantize.types import Choice
from quantize import walk_toys as toys

WIDTH, INNER = 64, 24
FIRST = "model.layers.0.mlp.experts"
GPTQ = Choice(method="gptq", form=toys.INT4)
EXPERTS = tuple((f"0.mlp.experts.{name}_proj.weight", GPTQ) for name in ("gate", "up", "down"))
"""Only the first layer's: what comes before is kept, so that routes are the page's own."""


def silent(progress: Progress) -> None:
    """Nobody waits."""


def routed(source: Source, samples: list[np.ndarray]) -> np.ndarray:
    """How many tokens go to each expert of the first layer, by the page."""
    found: list[np.ndarray] = []

    def keep(*given: object) -> object:
        out = route(*given)
        found.append(out.ids)
        return out

    route = reference.route
    with patch.object(reference, "route", keep):
        for sample in samples:
            toys.page_logits(source.config, source, [sample])
    layers = len(found) // len(samples)
    return np.bincount(np.concatenate(found[::layers]).ravel(), minlength=8)


@pytest.mark.parametrize("lengths", [(30, 30), (57,) * 6])
def test_all_get_enough_and_tell(lengths: tuple[int, ...], tmp_path: Path) -> None:
    source, samples = toys.mixed(tmp_path / "model", "qwen3_moe"), toys.some_samples(*lengths)
    own = routed(source, samples)
    out = quantize(source, samples, toys.Same(others=EXPERTS), tmp_path / "work", silent)
    told = {o.name: (o.seen, o.borrowed) for o in out.outcomes}
    needs = min(ENOUGH * WIDTH, sum(lengths))
    assert min(own) < needs and (sum(lengths) < 128 or max(own) > needs), "both kinds"
    for expert, count in enumerate(own):
        seen = max(count, needs)
        for name in ("gate", "up", "down"):
            assert told.pop(f"{FIRST}.{name}_proj.weight[{expert}]") == (seen, seen - count)
    assert not told


def test_the_nearest_tokens_are_borrowed(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ids = np.array([[0, 1], [1, 2], [0, 2], [1, 2], [1, 2]], np.int32)
    weights = random.random((5, 2)).astype(np.float32)
    scores = Rows.zeros(tmp_path / "scores", 3, 5)
    scores.write(0, np.array([[9, 1, 9, 3, 2], [0] * 5, [0] * 5], np.float32))
    routing = Routing(ids, weights, Rows(tmp_path / "unread", 5, 4), scores)
    np.testing.assert_array_equal(routing.tokens(0)[0], [0, 2])
    np.testing.assert_array_equal(routing.tokens(0)[1], weights[[0, 2], 0])
    np.testing.assert_array_equal(routing.next(0, 2), [])
    np.testing.assert_array_equal(routing.next(0, 3), [3])
    np.testing.assert_array_equal(routing.next(0, 4), [3, 4])
    np.testing.assert_array_equal(routing.next(0, 99), [1, 3, 4])
