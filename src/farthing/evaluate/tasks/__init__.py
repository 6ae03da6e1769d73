"""Tasks with right answers: multiple choice, exact match, programs that must pass their tests.

model = native.open(folder, EngineConfig())
for score in run(model, [choice.read(Path("mine.jsonl"))], price=None): ...
"""

from collections.abc import Sequence

import msgspec

from farthing.evaluate.tasks.types import Answers, Score, Task, Told
from farthing.meter.rate import MachinePrice

__all__ = ["Answers", "Score", "Task", "run"]


def quiet(what: str, done: int, total: int) -> None:
    """For whoever does not want to be told."""


def run(
    model: Answers,
    tasks: Sequence[Task],
    told: Told = quiet,
    *,
    price: MachinePrice | None = None,
) -> list[Score]:
    """The scores of all tasks, in their order. `price` of an hour makes each name its cost.

    Raises InputError for what a model cannot do (see types.Answers), ContextTooLong.
    """
    return [priced(score, price) for task in tasks for score in task.scores(model, told)]


def priced(score: Score, price: MachinePrice | None) -> Score:
    """With what its seconds cost."""
    if price is None:
        return score
    hours = score.seconds / 3600
    return msgspec.structs.replace(score, nanodollars=round(hours * price.hour_nanodollars))
