"""What a report draws can be seen."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from farthing.learn import report
from farthing.learn.report import History


def line(step: int, loss: float, held: float | None) -> dict[str, object]:
    looked = {} if held is None else {"held_out": {"held": {"loss": held}}}
    return {"step": step, "tokens": 10 * step, "loss": loss, "next_token": None} | looked


@pytest.mark.parametrize("held", [0.5, 9.0])
def test_a_held_out_loss_far_from_training_s_is_within_the_picture(held: float) -> None:
    """What was learned by heart is just what the curve is there to show."""
    lines = [line(i, 9 - i / 20, held if i % 25 == 0 else None) for i in range(1, 101)]
    axes = Figure().subplots()
    report._losses(axes, History(Path(), {"steps": 100}, lines, ""))
    low, high = axes.get_ylim()
    assert low < held < high


def test_the_first_steps_fall_does_not_flatten_the_rest() -> None:
    lines = [line(i, 100.0 if i < 5 else 2.0, None) for i in range(1, 101)]
    axes = Figure().subplots()
    report._losses(axes, History(Path(), {"steps": 100}, lines, ""))
    assert axes.get_ylim()[1] < 3
