"""Two processes make the run that one makes: the same losses, loads and checkpoints."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import steps_together
import toy_run
from processes import said
from steps_together import told
from taught import STUDENT, corpus, teacher

from farthing.learn import checkpoint
from farthing.learn.checkpoint import Checkpoint
from farthing.learn.distil import teaching
from farthing.learn.plan import Plan
from farthing.learn.run import Run

STEPS = 4
EXACT: dict[str, Any] = {"dtype": "fp32", "next_token": {"weight": 0.3}}
QWEN3_MOE = toy_run.DENSE | {
    "model_type": "qwen3_moe",
    "head_dim": 8,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "norm_topk_prob": True,
}
LONELY = toy_run.SPARSE | {"n_routed_experts": 32, "num_experts_per_tok": 1}
CASES: dict[str, dict[str, Any]] = {
    "experts, latents and a next-token head": EXACT,
    "two passes each": EXACT | {"batch": {"tokens": 256, "together": 64}},
    "dense": {"dtype": "fp32", "model": toy_run.DENSE},
    "experts without a correction": {"dtype": "fp32", "model": QWEN3_MOE},
    "a process whose experts get no token": EXACT
    | {"model": LONELY, "data": {"length": 2}, "tokens": 8 * STEPS}
    | {"batch": {"tokens": 4, "together": 2}},
    "one pass each, run again on the way back": EXACT
    | {"batch": {"tokens": 256, "together": 256, "recompute": True}},
    "a student of a teacher": EXACT | {"model": STUDENT, "teacher": {"model": "teacher"}},
    "AdamW alone, gradients as they are": EXACT
    | {"optimizer": {"matrices": "adamw", "clip": 0.0, "rate": 0.001}},
}


ROUNDED = {"bf16": {"next_token": {"weight": 0.3}}}

Lines = list[dict[str, Any]]


def alone(recipe: Path) -> Run:
    plan = Plan.read(recipe)
    run = Run(plan.recipe, plan.train)
    if plan.recipe.teacher:
        run.objective = teaching(plan.recipe, plan.folder, plan.train, run.rows).objective
    return run


def by_two(jobs: list[tuple[Path, Path]]) -> list[Lines]:
    asked = [{"recipe": str(r), "steps": STEPS, "from": str(c)} for r, c in jobs]
    answer = said(2, Path(steps_together.__file__), json.dumps(asked))
    return [json.loads(line) for line in answer.splitlines()]


@dataclass
class Found:
    """Of a case: what one process and two told of steps from the same checkpoint, which one wrote;
    and what they left at the end."""

    recipe: Path
    alone: Lines
    together: Lines
    state: Checkpoint
    saved: Checkpoint


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    recipes, lines, states, jobs = {}, {}, {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HOME", str(tmp_path_factory.mktemp("home")))
        packed = teacher(tmp_path_factory.mktemp("teacher") / "teacher")
    for case, changed in (CASES | ROUNDED).items():
        folder = tmp_path_factory.mktemp("case")
        if "teacher" in changed:
            corpus(folder / "train", packed)
            (folder / "teacher").symlink_to(packed)
        recipes[case] = toy_run.recipe(folder, steps=2 * STEPS, **changed)
        run = alone(recipes[case])
        told(run, 2)
        jobs.append((recipes[case], checkpoint.save(folder / "alone", run.state(), keep=1)))
        lines[case], states[case] = told(run, STEPS), run.state()
    return {
        case: Found(
            recipes[case],
            lines[case],
            together,
            states[case],
            checkpoint.load(checkpoint.newest(recipes[case].parent / "together")),
        )
        for case, together in zip(recipes, by_two(jobs), strict=True)
    }


every = pytest.mark.parametrize("case", CASES)


@every
def test_two_processes_step_as_one(found: dict[str, Found], case: str) -> None:
    assert_same(found[case].together, found[case].alone)


@every
def test_what_they_save_is_what_one_would_have(found: dict[str, Found], case: str) -> None:
    mine, theirs = found[case].state, found[case].saved
    assert (theirs.step, theirs.run) == (mine.step, mine.run)
    assert set(theirs.tensors) == set(mine.tensors)
    # its text hardly says what to attend to: Muon makes as much of a gradient near nothing
    bound = 0.05 if "teacher" in case else 1e-4
    for name, tensor in mine.tensors.items():
        got = theirs.tensors[name]
        assert (got.shape, got.dtype) == (tensor.shape, tensor.dtype), name
        off = (got - tensor).norm() / tensor.norm().clamp(min=1e-6)
        assert off < bound, f"{name}: {off}"
    alone(found[case].recipe).resume(theirs)


def test_in_bf16_two_stay_near_one(found: dict[str, Found]) -> None:
    """Sums in another order, rounded to 8 bits: off by less than a hundredth of a nat."""
    for line, want in zip(found["bf16"].together, found["bf16"].alone, strict=True):
        assert line["loss"] == pytest.approx(want["loss"], abs=1e-2)


def test_in_one_case_a_process_gets_no_token_at_all(found: dict[str, Found]) -> None:
    loads = [
        load
        for line in found["a process whose experts get no token"].alone
        for load in line["loads"].values()
    ]
    halves = [sum(half) for load in loads for half in (load[:16], load[16:])]
    assert 0 in halves


def assert_same(got: Lines, expected: Lines) -> None:
    for mine, line in zip(got, expected, strict=True):
        for name in ("step", "loss", "next_token", "sequence", "norm"):
            want = line[name] and pytest.approx(line[name], rel=1e-5)
            assert mine[name] == want, f"{name} of step {line['step']}"
        assert set(mine["loads"]) == set(line["loads"])
        for name, load in mine["loads"].items():
            # the last bits may turn a near-tie of two experts
            off = sum(abs(a - b) for a, b in zip(load, line["loads"][name], strict=True))
            assert off <= 2, (name, load)
