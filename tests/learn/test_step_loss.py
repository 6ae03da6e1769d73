"""What a pass is to make less: each part by its own count and weight."""

from pathlib import Path

import pytest
import toy_run

from farthing.learn.plan import Plan
from farthing.learn.run import Run


def opened(folder: Path, **changed: object) -> Run:
    plan = Plan.read(toy_run.recipe(folder, 10, dtype="fp32", **changed))
    return Run(plan.recipe, plan.train)


@pytest.mark.parametrize("done, weight", [(0, 0.5), (7, 0.5), (8, 0.125), (9, 0.125)])
def test_the_head_weighs_less_once_the_rate_falls(done: int, weight: float, tmp_path: Path) -> None:
    head = {"weight": 0.5, "later": 0.125}
    run = opened(tmp_path, next_token=head, schedule={"decay": 0.2}, balance={"sequence": 0.25})
    run.done = done
    total, found = run.loss(run.weights(), run.rows.take(0, 4), [10, 20], 5)
    assert found.next_token is not None and found.sequence is not None
    parts = found.main / 10 + weight * found.next_token / 20 + 0.25 * found.sequence / 5
    assert float(total.detach()) == pytest.approx(float(parts.detach()), rel=1e-6)


@pytest.mark.parametrize("step, moves", [(4, True), (5, False), (6, False)])
def test_corrections_stay_from_a_share_of_the_steps_on(
    step: int, moves: bool, tmp_path: Path
) -> None:
    """Step 4 of 10, from 0, is the last before half of the run is done."""
    run = opened(tmp_path, balance={"until": 0.5, "rate": 1.0})
    run.done = step
    told = run.step()
    assert told.sequence is not None and 0.5 < told.sequence < 8
    assert any(bool(value.any()) for _, value in run.parameters.corrections()) == moves


@pytest.mark.parametrize("falls, moved", [(False, 0.5), (True, 0.125)])
def test_corrections_may_fall_with_the_learning_rate(
    falls: bool, moved: float, tmp_path: Path
) -> None:
    """Step 9 of 10, from 0: a quarter of the full rate is left where four steps fall."""
    schedule = {"warmup": 0, "decay": 0.4}
    run = opened(tmp_path, balance={"rate": 0.5, "until": 1.0, "falls": falls}, schedule=schedule)
    run.done = 9
    run.step()
    for _, value in run.parameters.corrections():
        assert set(value.abs().tolist()) <= {0.0, moved} and bool(value.any())


def test_corrections_may_move_in_proportion(tmp_path: Path) -> None:
    run = opened(tmp_path, balance={"rate": 0.5, "proportional": True})
    run.step()
    lengths = {x for _, value in run.parameters.corrections() for x in value.abs().tolist()}
    assert len(lengths - {0.0, 0.5}) > 1 and max(lengths) <= 0.5


@pytest.mark.parametrize("whole", [False, True])
def test_a_recipe_s_rows_may_be_whole_documents(whole: bool, tmp_path: Path) -> None:
    """Its documents have 10 to 39 tokens."""
    batch = {"tokens": 160, "together": 80}
    rows = opened(tmp_path, data={"whole": whole, "length": 40}, batch=batch).rows
    begins = set(rows.corpora[0].starts[:-1].tolist())
    assert all(int(rows.places(row)[1][0]) in begins for row in range(8)) == whole
