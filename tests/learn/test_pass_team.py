"""Passes side by side give the gradients of passes one after the other."""

from collections.abc import Iterator

import pytest
import torch
import toy_run

from farthing.learn import recipe
from farthing.learn.corpus import Corpus
from farthing.learn.run import Run
from farthing.learn.team import Team


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def gradients(path, threads: int) -> dict[str, torch.Tensor]:
    torch.set_num_threads(threads)
    asked = recipe.read(path)
    run = Run(asked, [Corpus.open(path.parent / "train")])
    rows = range(asked.rows)
    batches = [run.rows.take(at, 1) for at in rows]
    run.made(batches, [1, 1], len(batches))
    assert run.team is not None and run.team.size == min(threads, len(batches))
    return {n: p.grad for n, p in run.parameters.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_gradients_are_the_same_bits_side_by_side_and_in_turn(tmp_path, dtype):
    path = toy_run.recipe(tmp_path, dtype=dtype)
    alone, beside = gradients(path, 1), gradients(path, 3)
    assert alone.keys() == beside.keys()
    for name in alone:
        assert torch.equal(alone[name], beside[name]), name


def test_results_come_in_order_and_a_failure_is_raised():
    torch.set_num_threads(3)
    team = Team(5)

    def work(item: int) -> int:
        if item == 7:
            raise ValueError("seven")
        return item * item

    assert list(team.map(work, range(5))) == [0, 1, 4, 9, 16]
    with pytest.raises(ValueError, match="seven"):
        list(team.map(work, range(5, 10)))


def test_one_pass_is_made_with_all_threads():
    torch.set_num_threads(3)
    assert Team(1).pool is None
    assert list(Team(1).map(lambda _: torch.get_num_threads(), [0])) == [3]
    assert set(Team(3).map(lambda _: torch.get_num_threads(), range(6))) == {1}
